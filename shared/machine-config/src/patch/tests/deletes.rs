//! What `$patch: delete` reaches.

use super::*;

#[test]
fn what_talos_cannot_find_is_an_error() {
    let lost = |path: &str| {
        format!("patch delete: path '{path}' in document '/v1alpha1': failed to delete path '{path}': lookup failed")
    };
    let base = machine!("ca: {crt: QUJD}, acceptedCAs: [{crt: QUJD}], pods: [{a: b}], certSANs: [a]");
    for (patch, message) in [
        // Certificates have no fields of their own, nor have free values.
        (machine!("ca: {crt: {$patch: delete}}"), lost("machine.ca.crt")),
        (machine!("acceptedCAs: [{crt: QUJD, $patch: delete}]"), lost("machine.acceptedCAs.[0]")),
        (machine!("pods: [{a: b, $patch: delete}]"), lost("machine.pods.[0]")),
        (
            machine!("certSANs: [{$patch: delete}]"),
            "no key:val found in sequence node for path machine.certSANs.[0]".to_owned(),
        ),
    ] {
        refused(&[(base, patch, message.as_str())]);
    }
}
