//! The ways of the image to Proxmox VE: the hosts download it, it is uploaded, or it is an ISO.

use std::process::{Output, Stdio};

use lab::pve::{Fault, Storage};
use lab::{Lab, Options};
use serde_json::Value;

use crate::{AGENT, last, lock, run, start, stderr};

/// The name of the image's file, by its format.
fn file(format: &str) -> String {
    format!("talos-v1.13.9-{AGENT}-nocloud-amd64.{format}")
}

/// A lab whose cluster file names this way.
async fn with(via: &str) -> Lab {
    let lab = start().await;
    set(&lab, via);
    lab
}

fn set(lab: &Lab, via: &str) {
    let text = std::fs::read_to_string(lab.cluster_file()).unwrap();
    let line = text.lines().find(|line| line.trim_start().starts_with("images:")).unwrap();
    let wanted = format!("    images: {{storage: local, via: {via}}}");
    std::fs::write(lab.cluster_file(), text.replace(line, &wanted)).unwrap();
}

/// How many uploads the server got.
fn uploads(lab: &Lab) -> usize {
    lab.pve().requests().iter().filter(|(method, path)| method == "POST" && path.ends_with("/upload")).count()
}

/// The files on the storage for images.
fn files(lab: &Lab) -> Vec<String> {
    lab.pve().volumes("pve1", "local")
}

fn copies(lab: &Lab) -> Value {
    let lock: Value = serde_json::from_str(&std::fs::read_to_string(lock(lab)).unwrap()).unwrap();
    lock["copies"].clone()
}

#[track_caller]
fn exits(output: &Output, status: i32) -> String {
    assert_eq!(output.status.code(), Some(status), "{}", stderr(output));
    stderr(output)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_image_is_uploaded_once_without_the_hosts_asking_for_it() {
    let lab = with("upload").await;

    let planned = run(&lab, &["--dry-run", "--format", "jsonl"]).await;
    let first = run(&lab, &["--format", "jsonl"]).await;
    let calls = lab.pve().requests().len();
    let again = run(&lab, &["--format", "jsonl"]).await;

    assert!(exits(&planned, 3).contains("would upload http"), "{}", stderr(&planned));
    exits(&first, 0);
    let volume = format!("local:import/{}", file("qcow2"));
    let changes = &last(&first)["status"]["image"]["changes"];
    assert_eq!((&changes[0]["what"], &changes[0]["to"]), (&"image on pve1".into(), &volume.clone().into()));
    assert_eq!(last(&planned)["status"]["image"]["changes"], *changes);
    assert_eq!(files(&lab), [volume]);
    exits(&again, 0);
    assert_eq!(last(&again)["status"]["image"]["changed"], false);
    assert_eq!(uploads(&lab), 1);
    let (paths, reads) = (lab.pve().requests(), &lab.pve().requests()[calls..]);
    assert!(!paths.iter().any(|(_, path)| path.ends_with("/download-url")), "{paths:?}");
    assert!(reads.iter().all(|(method, _)| method == "GET"), "{reads:?}");
    let left = std::fs::read_dir(lab.dir().join(lab.name())).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(
        left.iter().all(|name| name.starts_with('.') || name == "ichor.lock" || name == "secrets.yaml"),
        "{left:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_host_with_a_storage_of_its_own_gets_the_image_from_one_download() {
    let lab = Lab::start(Options { hosts: vec!["pve1".into(), "pve2".into(), "pve3".into()], ..Options::default() })
        .await
        .unwrap();
    set(&lab, "upload");

    exits(&run(&lab, &[]).await, 0);

    for host in lab.pve().hosts() {
        assert_eq!(lab.pve().volumes(&host, "local"), [format!("local:import/{}", file("qcow2"))], "{host}");
    }
    let image = |(method, path): &(String, String)| method == "GET" && path.starts_with("/image/");
    assert_eq!(lab.factory().requests().iter().filter(|request| image(request)).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_iso_goes_to_the_content_iso_and_is_the_only_image_that_may() {
    let lab = with("iso").await;
    let mut local = Storage::local();
    local.content.retain(|kind| kind != "import");
    lab.pve().set_storages(vec![local, Storage::local_lvm()]);

    let first = run(&lab, &["--format", "jsonl"]).await;
    let again = run(&lab, &["--format", "jsonl"]).await;
    let other = run(&lab, &["--image-format", "qcow2"]).await;

    exits(&first, 0);
    let image = &last(&first)["status"]["image"];
    assert!(image["url"].as_str().unwrap().ends_with("/nocloud-amd64.iso"), "{image}");
    assert_eq!(image["volumes"]["pve1"], format!("local:iso/{}", file("iso")));
    assert_eq!(files(&lab), [format!("local:iso/{}", file("iso"))]);
    exits(&again, 0);
    assert_eq!(last(&again)["status"]["image"]["changed"], false);
    assert!(exits(&other, 1).contains("the cluster file says `via: iso`, and --image-format is qcow2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_can_not_reach_the_factory_is_told_with_the_way_around() {
    for (via, way) in [("download", "via: upload"), ("iso", "put the file there yourself as local:iso/")] {
        let lab = with(via).await;
        lab.pve().fail_downloads("Connecting to 10.0.0.9:443... failed: Network is unreachable.");

        let said = exits(&run(&lab, &[]).await, 5);

        assert!(said.contains("pve1 can't download http"), "{said}");
        assert!(said.contains("failed: Network is unreachable") && said.contains(way), "{said}");
        lab.pve().heal();
        exits(&run(&lab, &[]).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_is_begun_again_and_one_that_is_refused_leaves_nothing() {
    let lab = with("upload").await;
    lab.pve().fault("POST", "/upload", Fault::Fail { status: 596, message: "Broken pipe".into() });
    exits(&run(&lab, &[]).await, 0);
    assert_eq!((uploads(&lab), files(&lab).len()), (2, 1));

    let lab = with("upload").await;
    let message = "cannot create /var/tmp/pveupload: No space left on device".to_owned();
    lab.pve().fault("POST", "/upload", Fault::Fail { status: 500, message });
    let said = exits(&run(&lab, &[]).await, 1);
    assert!(said.contains("No space left on device"), "{said}");
    assert_eq!((files(&lab), uploads(&lab)), (Vec::new(), 1));
    exits(&run(&lab, &[]).await, 0);
    assert_eq!(files(&lab).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_reply_is_lost_is_found_and_not_made_twice() {
    let lab = with("upload").await;
    lab.pve().fault("POST", "/upload", Fault::LoseReply);

    exits(&run(&lab, &[]).await, 0);

    assert_eq!((uploads(&lab), files(&lab).len()), (1, 1));
    exits(&run(&lab, &[]).await, 0);
    assert_eq!(uploads(&lab), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cut_off_upload_left_is_replaced_and_what_somebody_put_there_is_not() {
    let lab = with("upload").await;
    exits(&run(&lab, &[]).await, 0);
    let volume = files(&lab).remove(0);
    let mark = copies(&lab)[format!("pve1/{volume}")].as_str().unwrap().to_owned();
    let digest = mark.split(' ').next().unwrap().to_owned();
    assert!(lab.pve().spoil_image("pve1", &volume, 1000));

    let said = exits(&run(&lab, &[]).await, 7);
    assert!(said.contains("is not the image"), "{said}");
    assert_eq!(uploads(&lab), 1);

    let text = std::fs::read_to_string(lock(&lab)).unwrap();
    std::fs::write(lock(&lab), text.replace(&mark, &format!("upload of {digest}"))).unwrap();
    let said = exits(&run(&lab, &[]).await, 0);
    assert!(said.contains("is what an upload left that was cut off: replacing it"), "{said}");
    assert_eq!((uploads(&lab), files(&lab)), (2, vec![volume]));
    exits(&run(&lab, &[]).await, 0);
    assert_eq!(uploads(&lab), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_at_once_upload_the_image_once() {
    let lab = with("upload").await;

    let (one, two) = tokio::join!(run(&lab, &[]), run(&lab, &[]));

    exits(&one, 0);
    exits(&two, 0);
    assert_eq!((uploads(&lab), files(&lab).len()), (1, 1));
}

/// What the factory sends for the image.
async fn image(lab: &Lab) -> Vec<u8> {
    let base = schematic::FactoryUrl::parse(&lab.factory().endpoint()).unwrap();
    let image = schematic::Image {
        schematic: AGENT.into(),
        version: "v1.13.9".parse().unwrap(),
        platform: "nocloud".into(),
        arch: "amd64".into(),
        format: schematic::Format::qcow2(),
        secureboot: false,
    };
    let mut bytes = Vec::new();
    factory_client::Client::new(base).unwrap().fetch(&image, None, &mut bytes, |_, _| ()).await.unwrap();
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_another_machine_uploads_meanwhile_is_compared_and_never_copied_over() {
    let lab = with("upload").await;
    exits(&run(&lab, &["--talos-version", "v1.13.9", "--extension", "siderolabs/qemu-guest-agent", "--raw"]).await, 0);
    let volume = format!("local:import/{}", file("qcow2"));
    // The second look at the files of the storage is the one before the last piece is sent.
    lab.pve().appears_at("/storage/local/content", 1, "pve1", &volume, &image(&lab).await);

    exits(&run(&lab, &[]).await, 0);

    assert!(lab.pve().requests().iter().any(|(_, path)| path.ends_with("/download-url")), "it was not compared");
    assert!(lab.pve().tasks().iter().all(|task| !task.upid.contains(":imgcopy:")), "it was copied over");
    let before = lab.pve().writes();
    exits(&run(&lab, &[]).await, 0);
    assert_eq!(lab.pve().writes(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_may_not_upload_is_told_so_before_anything_is_read() {
    let lab = with("upload").await;
    let (token, secret) = lab.pve().token().split_once('=').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    lab.pve().add_token(&token, &secret, &[("/", &["Datastore.AllocateSpace", "Sys.Audit"])]);

    let said = exits(&run(&lab, &[]).await, 6);

    assert!(said.contains("may not upload to storage local"), "{said}");
    assert!(said.contains(&format!("pveum acl modify /storage/local --users {}", token.split('!').next().unwrap())));
    assert!(!lab.factory().requests().iter().any(|(_, path)| path.starts_with("/image/")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_may_not_have_the_image_downloaded_is_told_so_by_a_plan_and_before_anything_is_read() {
    let lab = with("download").await;
    let (token, secret) = lab.pve().token().split_once('=').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    lab.pve().add_token(&token, &secret, &[("/", &["Datastore.AllocateSpace", "Datastore.AllocateTemplate"])]);

    for arguments in [&["--dry-run"][..], &[]] {
        let said = exits(&run(&lab, arguments).await, 6);
        assert!(said.contains("to storage local: it lacks Sys.AccessNetwork on /nodes/pve1"), "{said}");
        assert!(said.contains("pveum acl modify /nodes/pve1 --users"), "{said}");
    }
    assert!(!lab.factory().requests().iter().any(|(_, path)| path.starts_with("/image/")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_needs_no_right_to_let_the_hosts_ask_around() {
    let lab = with("upload").await;
    let (token, secret) = lab.pve().token().split_once('=').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let held = ["Datastore.AllocateSpace", "Datastore.AllocateTemplate", "Sys.Audit"];
    lab.pve().add_token(&token, &secret, &[("/", &held)]);

    exits(&run(&lab, &[]).await, 0);
    assert_eq!(uploads(&lab), 1);
    std::fs::remove_file(lock(&lab)).unwrap();
    let said = exits(&run(&lab, &[]).await, 6);
    assert!(said.contains("can't be found out") && said.contains("lacks Sys.AccessNetwork"), "{said}");
    assert_eq!(uploads(&lab), 1, "a file of unknown content is not copied over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_stopped_while_it_uploads_leaves_nothing_and_the_next_one_uploads() {
    let lab = with("upload").await;
    lab.pve().fault("POST", "/upload", Fault::Hang);
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_talos-image"));
    command.env_clear().envs(lab.env()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let running = command.spawn().unwrap();
    lab.pve().until(|pve| pve.requests().iter().any(|(_, path)| path.ends_with("/upload"))).await;

    let signal = tokio::process::Command::new("kill").args(["-INT", &running.id().unwrap().to_string()]).status();
    assert!(signal.await.unwrap().success());
    let output = running.wait_with_output().await.unwrap();

    exits(&output, 130);
    assert_eq!(files(&lab), [""; 0]);
    exits(&run(&lab, &[]).await, 0);
    assert_eq!(files(&lab).len(), 1);
}
