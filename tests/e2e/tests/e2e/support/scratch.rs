//! A folder of its own for a test, with the programs first on the path.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use assert_cmd::cargo::cargo_bin;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::Outcome;

/// The programs of the pipe, in its order.
pub(crate) const STEPS: [&str; 8] = [
    "talos-image",
    "pve-vm",
    "talos-gen",
    "talos-seed",
    "talos-apply",
    "talos-bootstrap",
    "kubeconfig-export",
    "talos-wait",
];

/// The longest that one command of a test may take. It bounds a hang; it measures nothing.
const BOUND: Duration = Duration::from_secs(120);

/// A scratch folder.
pub(crate) struct Scratch {
    folder: TempDir,
    environment: Vec<(String, String)>,
}

impl Scratch {
    /// A new folder, with nothing in the environment but what programs need to be found.
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("ichor-e2e-").tempdir().unwrap();
        let bin = folder.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        for name in STEPS.iter().chain(&["ichor"]) {
            std::os::unix::fs::symlink(cargo_bin("ichor-under-test"), bin.join(name)).unwrap();
        }
        std::os::unix::fs::symlink(cargo_bin("ichor-lab-under-test"), bin.join("ichor-lab")).unwrap();
        if let Some(just) = std::env::var_os("ICHOR_JUST") {
            std::os::unix::fs::symlink(just, bin.join("just")).unwrap();
        }
        std::fs::create_dir(folder.path().join("work")).unwrap();
        Self { folder, environment: Vec::new() }
    }

    /// Adds to the environment of the commands.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// The working directory of the commands.
    pub(crate) fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// A file in the working directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.work().join(name)
    }

    /// Writes a file in the working directory.
    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, contents).unwrap();
        path
    }

    /// Reads a file in the working directory.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// A shell command, not started yet. Its group is its own, so that signals reach all of it and nothing else.
    pub(crate) fn command(&self, script: &str) -> Command {
        let mut command = Command::new("sh");
        let path = format!("{}:{}", self.folder.path().join("bin").display(), std::env::var("PATH").unwrap());
        command.args(["-c", script]).current_dir(self.work()).env_clear();
        command.env("PATH", path).env("HOME", self.folder.path()).env("LC_ALL", "C.UTF-8");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        command
    }

    /// Runs a shell command to its end.
    pub(crate) async fn sh(&self, script: &str) -> Outcome {
        finish(self.command(script), script).await
    }

    /// The files in a folder below the working directory, by relative path.
    pub(crate) fn files(&self, folder: &str) -> Vec<String> {
        let root = self.path(folder);
        let mut found = Vec::new();
        list(&root, &root, &mut found);
        found.sort();
        found
    }
}

/// Runs a command to its end, and returns its outcome.
pub(crate) async fn finish(mut command: Command, script: &str) -> Outcome {
    let mut child = command.spawn().unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let done = async { tokio::try_join!(out.read_to_end(&mut stdout), err.read_to_end(&mut stderr), child.wait()) };
    let ended = tokio::time::timeout(BOUND, done).await;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&stdout), text(&stderr));
    let Ok(ended) = ended else { panic!("not done within {BOUND:?}: {script}\n{stdout}\n{stderr}") };
    let (_, _, status) = ended.unwrap();
    let status = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap();
    Outcome { status, stdout, stderr }
}

fn list(root: &Path, folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list(root, &path, found);
        } else {
            found.push(path.strip_prefix(root).unwrap().display().to_string());
        }
    }
}
