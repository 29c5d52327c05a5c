//! What Talos accepts without a word, though the writer hardly meant it.

use machine_config::kinds::LEGACY;

use crate::report::Mode;
use crate::rule::Input;

/// What is lost in silence, in words.
pub(crate) fn found(input: Input<'_>) -> Vec<String> {
    [accepted(input), diskless(input)].into_iter().flatten().collect()
}

/// The authorities of a document count alone.
fn accepted(input: Input<'_>) -> Option<String> {
    let both = input.document("KubeAPIServerCAConfig").is_set() && input.legacy("cluster.acceptedCAs").is_set();
    both.then(|| {
        "cluster.acceptedCAs is ignored beside KubeAPIServerCAConfig: move its certificates to that document's acceptedCAs"
            .to_owned()
    })
}

/// A machine that nobody tells to install Talos runs from memory. Up to 1.13 Talos itself demands the section.
fn diskless(input: Input<'_>) -> Option<String> {
    let whole = input.config.find(LEGACY.name).is_some();
    let installs = input.document("UnattendedInstallConfig").is_set() || input.legacy("machine.install").is_set();
    (whole && input.mode == Mode::Metal && !input.is_older() && !installs).then(|| {
        "no UnattendedInstallConfig and no machine.install: a machine that boots from an ISO or the network installs \
         nothing and runs from memory; for a disk image this is right"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine_config::{Contract, load};

    fn said(text: &str, mode: Mode, contract: &str) -> Vec<String> {
        let config = load(text).unwrap();
        crate::losses(&config, mode, Contract::parse(contract).unwrap())
    }

    const MACHINE: &str = "machine: {type: worker, ca: {crt: QUJD}}\n";

    #[test]
    fn authorities_beside_their_document_are_told() {
        let document = "---\napiVersion: v1alpha1\nkind: KubeAPIServerCAConfig\n";
        let legacy = format!("{MACHINE}cluster: {{acceptedCAs: [{{crt: QUJD}}]}}\n");
        assert!(said(&format!("{legacy}{document}"), Mode::Cloud, "v1.14")[0].contains("cluster.acceptedCAs"));
        assert!(said(&legacy, Mode::Cloud, "v1.14").is_empty());
        assert!(said(&format!("{MACHINE}cluster: {{}}\n{document}"), Mode::Cloud, "v1.14").is_empty());
    }

    #[test]
    fn a_machine_that_installs_nothing_is_told_where_it_boots_from_elsewhere() {
        let bare = format!("{MACHINE}cluster: {{}}\n");
        let document = "---\napiVersion: v1alpha1\nkind: UnattendedInstallConfig\n";
        assert!(said(&bare, Mode::Metal, "v1.14")[0].contains("runs from memory"));
        for (text, mode, contract) in [
            (bare.as_str(), Mode::Cloud, "v1.14"),
            (&bare, Mode::Metal, "v1.13"),
            (&format!("{bare}{document}"), Mode::Metal, "v1.14"),
            (&bare.replace("type", "install: {disk: /dev/sda}, type"), Mode::Metal, "v1.14"),
            (document, Mode::Metal, "v1.14"),
        ] {
            assert_eq!(said(text, mode, contract), [""; 0], "{text}");
        }
    }
}
