//! The program against a lab.

#![expect(clippy::unwrap_used, reason = "a test fails where its helpers do")]

mod pretender;
mod ways;

use std::process::Output;

use lab::{Lab, Options, pve::Storage};
use serde_json::Value;

const AGENT: &str = "ce4c980550dd2ab1b17bbf2b08801c7eb59418eafe8f279833297925d67c7515";

async fn start() -> Lab {
    Lab::start(Options::default()).await.unwrap()
}

/// Runs the program in the lab's environment, with no input on stdin.
async fn run(lab: &Lab, arguments: &[&str]) -> Output {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_talos-image"));
    command.args(arguments).env_clear().envs(lab.env()).stdin(std::process::Stdio::null());
    command.output().await.unwrap()
}

fn last(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    serde_json::from_str(line).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_image_is_brought_to_the_storage_once_and_its_digest_is_locked() {
    let lab = start().await;

    let first = run(&lab, &["--format", "jsonl"]).await;
    let again = run(&lab, &["--format", "jsonl"]).await;

    assert!(first.status.success(), "{}", stderr(&first));
    let image = last(&first)["status"]["image"].clone();
    assert_eq!((&image["schematic"], &image["changed"]), (&AGENT.into(), &true.into()));
    assert_eq!(image["volumes"]["pve1"], format!("local:import/talos-v1.13.9-{AGENT}-nocloud-amd64.qcow2"));
    assert_eq!(lab.pve().volumes("pve1", "local"), [image["volumes"]["pve1"].as_str().unwrap()]);
    assert!(image["installer"].as_str().unwrap().ends_with(&format!("/nocloud-installer/{AGENT}:v1.13.9")));
    assert_eq!(image["sha256"].as_str().unwrap().len(), 64);
    let second = last(&again)["status"]["image"].clone();
    assert_eq!((&second["changed"], &second["sha256"]), (&false.into(), &image["sha256"]));
    assert_eq!(lab.pve().writes(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_registers_and_downloads_nothing() {
    let lab = start().await;

    let output = run(&lab, &["--dry-run", "--format", "jsonl"]).await;

    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert_eq!(last(&output)["status"]["image"]["pending"], true);
    assert_eq!((lab.pve().writes(), lab.factory().writes()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn alone_it_prints_a_url() {
    let lab = start().await;
    let factory = lab.factory().endpoint();

    let arguments = ["--talos-version", "1.13.9", "--extension", "siderolabs/qemu-guest-agent", "--raw"];
    let output = run(&lab, &arguments).await;

    let url = String::from_utf8(output.stdout).unwrap();
    assert_eq!(url.trim_end(), format!("{factory}/image/{AGENT}/v1.13.9/nocloud-amd64.qcow2"));
    assert!(lab.factory().schematics().contains_key(AGENT));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_that_does_not_exist_is_refused_before_anything_is_built() {
    let lab = start().await;

    let output = run(&lab, &["--talos-version", "v1.13.9", "--extension", "siderolabs/guest-agent", "--raw"]).await;

    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("did you mean siderolabs/qemu-guest-agent?"), "{}", stderr(&output));
    assert_eq!(lab.factory().writes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_without_import_is_told_with_the_command_that_allows_it() {
    let lab = start().await;
    let mut local = Storage::local();
    local.content.retain(|kind| kind != "import");
    lab.pve().set_storages(vec![local, Storage::local_lvm()]);

    let output = run(&lab, &[]).await;

    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("pvesm set local --content "), "{}", stderr(&output));
}

fn lock(lab: &Lab) -> std::path::PathBuf {
    lab.dir().join(lab.name()).join("ichor.lock")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_the_images_name_is_compared_before_it_is_taken_for_the_image() {
    let lab = start().await;
    lab.pve().add_image("pve1", "local", "import", &format!("talos-v1.13.9-{AGENT}-nocloud-amd64.qcow2"), 1000);

    let output = run(&lab, &[]).await;

    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.contains("is not the image") && said.contains("pvesm free local:import/talos-v1.13.9-"), "{said}");
}

/// Seen on Proxmox VE 9.2: a dry run called a corrupted copy unchanged, and the run refused it.
#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_refuses_a_file_that_can_not_be_the_image_and_says_what_would_be_compared() {
    let file = format!("talos-v1.13.9-{AGENT}-nocloud-amd64.qcow2");
    let lab = start().await;
    run(&lab, &[]).await;
    let writes = lab.pve().writes();
    assert!(lab.pve().spoil_image("pve1", &format!("local:import/{file}"), 1000));
    for arguments in [&["--dry-run"][..], &[]] {
        let output = run(&lab, arguments).await;
        assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
        assert!(stderr(&output).contains("is not the image"), "{}", stderr(&output));
    }
    assert_eq!(lab.pve().writes(), writes + 1, "the run's comparison");

    // Nothing is remembered of a file that somebody else put there: its size is that of the image or not.
    let lab = start().await;
    lab.pve().add_image("pve1", "local", "import", &file, 1000);
    run(&lab, &["--talos-version", "v1.13.9", "--extension", "siderolabs/qemu-guest-agent", "--raw"]).await;
    let output = run(&lab, &["--dry-run"]).await;
    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    assert!(stderr(&output).contains("it has 1000 bytes, and the image "), "{}", stderr(&output));

    let lab = start().await;
    run(&lab, &[]).await;
    let mut text: Value = serde_json::from_str(&std::fs::read_to_string(lock(&lab)).unwrap()).unwrap();
    text.as_object_mut().unwrap().remove("copies").unwrap();
    std::fs::write(lock(&lab), text.to_string()).unwrap();
    let output = run(&lab, &["--dry-run"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("pve1 would compare the image that it has with its digest: it was never compared")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_that_was_changed_in_the_lock_is_noticed_while_the_file_is_there() {
    let lab = start().await;
    assert!(run(&lab, &[]).await.status.success());
    let text = std::fs::read_to_string(lock(&lab)).unwrap();
    let digest = text.split('"').find(|word| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit())).unwrap();
    std::fs::write(lock(&lab), text.replace(&format!("\"{digest}\""), &format!("\"{}\"", "0".repeat(64)))).unwrap();

    let output = run(&lab, &[]).await;

    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    assert!(stderr(&output).contains("is not the image"), "{}", stderr(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_another_checkout_brought_is_compared_once_and_not_downloaded_again() {
    let lab = start().await;
    assert!(run(&lab, &[]).await.status.success());
    let mut text: Value = serde_json::from_str(&std::fs::read_to_string(lock(&lab)).unwrap()).unwrap();
    text.as_object_mut().unwrap().remove("copies").unwrap();
    std::fs::write(lock(&lab), text.to_string()).unwrap();

    let compared = run(&lab, &["--format", "jsonl"]).await;
    let again = run(&lab, &["--format", "jsonl"]).await;

    assert!(stderr(&compared).contains("compares the image that it has"), "{}", stderr(&compared));
    assert_eq!(last(&compared)["status"]["image"]["changed"], false);
    assert!(again.status.success());
    assert_eq!(lab.pve().writes(), 2, "the download and one comparison");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_rights_of_its_own_is_told_so() {
    let lab = start().await;
    let token = lab.pve().token().split('=').next().unwrap().to_owned();
    let secret = lab.pve().token().split('=').nth(1).unwrap().to_owned();
    lab.pve().add_token(&token, &secret, &[]);

    let output = run(&lab, &[]).await;

    assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.contains("has no rights at all") && said.contains(&format!("--tokens '{token}'")), "{said}");
}
