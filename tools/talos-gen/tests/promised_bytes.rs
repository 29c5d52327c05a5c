//! `talos-gen config` prints what talosctl writes, for every contract and role.

use assert_cmd::Command;
use conformance::text;
use judges::vectors;

const STABILITY: &str = "talos-config/pkg/machinery/config/types/v1alpha1/testdata/stability";

#[test]
fn every_version_and_role_gives_the_promised_bytes() {
    let Some(folder) = vectors(STABILITY) else { return };
    for minor in talos_releases::RELEASES.map(|release| release.minor) {
        let version = format!("v1.{minor}");
        for role in ["controlplane", "worker"] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_talos-gen"));
            command.current_dir(&folder).env_clear().args(["config", "base", "https://base:6443"]);
            command.args(["--with-secrets", "secrets.yaml", "--talos-version", &version]);
            command.args(["--kubernetes-version", "1.28.0", "--install-disk", "", "--install-image", ""]);
            command.args(["--with-docs=false", "--with-examples=false", "-t", role, "-o", "-"]);
            let output = command.output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
            let expected = text(&folder.join(&version).join(format!("base-{role}.yaml")));
            assert!(output.stdout == expected.as_bytes(), "{version} {role}");
        }
    }
}
