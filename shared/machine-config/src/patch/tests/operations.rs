//! Patches of RFC 6902.

use super::*;

#[test]
fn json_patches_need_one_document_and_paths_that_exist() {
    let add = "[{op: add, path: /machine/certSANs/-, value: b}, {op: test, path: /machine/type, value: worker}]";
    gives(&[
        (machine!("type: worker, certSANs: [a]"), add, "version: ''\nmachine: {type: worker, certSANs: [a, b]}\n"),
        (
            machine!("type: worker"),
            r#"[{"op": "replace", "path": "/machine/type", "value": "controlplane"}]"#,
            machine!("type: controlplane"),
        ),
    ]);
    let both = format!("{}---\n{}", machine!("type: worker"), document!("LinkConfig", "name: a"));
    refused(&[(&both, add, "JSON6902 patches are not supported for multi-document machine configuration")]);
    for broken in [
        "[{op: remove, path: /machine/env}]",
        "[{op: add, path: /machine/env/a, value: b}]",
        "[{op: test, path: /machine/type, value: x}]",
    ] {
        let error = patched(machine!("type: worker"), broken).unwrap_err();
        assert!(matches!(error, Error::Operation(_)), "{broken}: {error:?}");
    }
    for odd in ["[{op: grow, path: /a}]", "[{op: add}]", "[1, 2]"] {
        assert!(matches!(parse(odd), Err(Error::Json(_))), "{odd}");
    }
}

#[test]
fn json_patches_take_the_liberties_that_talos_takes() {
    let base = machine!("type: worker, certSANs: [a, b], network: {}");
    gives(&[
        (
            base,
            "[{op: replace, path: /machine/network/hostname, value: x}, {op: test, path: /machine/env}]",
            machine!("type: worker, certSANs: [a, b], network: {hostname: x}"),
        ),
        (base, "[{op: remove, path: /machine/certSANs/-1}]", machine!("type: worker, certSANs: [a], network: {}")),
        (
            base,
            "[{op: add, path: /machine/certSANs/-1, value: c}, {op: add, path: /machine/certSANs/+0, value: d}]",
            machine!("type: worker, certSANs: [d, a, b, c], network: {}"),
        ),
        (
            base,
            "[{op: replace, path: /machine/certSANs/00, value: c}]",
            machine!("type: worker, certSANs: [c, b], network: {}"),
        ),
    ]);
    gives(&[
        (base, r#"[{"op": "test", "path": "/machine/env", "value": null}]"#, base),
        (base, "[{op: add, path: /machine/network}]", machine!("type: worker, certSANs: [a, b]")),
        (
            base,
            "[{op: move, from: /machine/certSANs/-1, path: /machine/certSANs/-2}, {op: add, path: /machine/type}]",
            machine!("certSANs: [b, a], network: {}"),
        ),
        (
            base,
            "[{op: copy, from: /machine/none, path: /machine/network}, {op: add, path: /machine/token, value: 1.0}]",
            machine!("type: worker, token: '1', certSANs: [a, b]"),
        ),
        (
            machine!("sysctls: {t~u: a, x/y: b}"),
            "[{op: add, path: /machine/sysctls/t~u, value: c}, {op: remove, path: /machine/sysctls/x~1y}]",
            machine!("sysctls: {t~u: c}"),
        ),
    ]);
    for broken in [
        "{op: replace, path: /machine/env/a, value: x}",
        "{op: remove, path: /machine/certSANs/-3}",
        // In YAML, a null is a value that nothing equals.
        "{op: test, path: /machine/env, value: null}",
        "{op: test, path: /machine/env, value: ~}",
        "{op: add, path: '', value: {}}",
        "{op: add, path: machine, value: {}}",
        "{op: copy, from: '', path: /machine/token}",
        "{op: replace, path: '', value: a}",
        "{op: remove, path: /machine/env}",
        "{op: add, path: /machine/certSANs/3, value: a}",
    ] {
        let error = patched(base, &format!("[{broken}]")).unwrap_err();
        assert!(matches!(error, Error::Operation(_)), "{broken}: {error:?}");
    }
}

#[test]
fn what_lies_between_two_json_patches_need_not_be_a_config() {
    let add = parse("[{op: add, path: /machine/odd, value: a}]").unwrap();
    let then = parse("[{op: move, from: /machine/odd, path: /machine/token}]").unwrap();
    let base = load(machine!("type: worker")).unwrap();
    let text = apply(&base, &[add.clone(), then]).unwrap().text(Dialect::V4);
    assert!(text.contains("token: a\n"), "{text}");
    assert!(apply(&base, &[add]).is_err());
}
