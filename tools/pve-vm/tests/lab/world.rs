//! A lab with an image in it, and what the program says there.

use std::process::Stdio;

use lab::{Lab, Options};
use serde_json::{Value, json};

/// One control plane and one worker.
pub(crate) fn options() -> Options {
    Options::default()
}

pub(crate) struct World {
    pub(crate) lab: Lab,
    hosts: Vec<String>,
}

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    code: Option<i32>,
    pub(crate) records: Vec<Value>,
    pub(crate) stderr: String,
}

const SCHEMATIC: &str = "ce4c980550dd2ab1b17bbf2b08801c7eb59418eafe8f279833297925d67c7515";

impl World {
    pub(crate) async fn start(options: Options) -> Self {
        let hosts = options.hosts.clone();
        let world = Self { lab: Lab::start(options).await.unwrap(), hosts };
        world.bring_image().await;
        world
    }

    pub(crate) fn image(&self) -> String {
        format!("{}/image/{SCHEMATIC}/v1.13.9/nocloud-amd64.qcow2", self.lab.factory().endpoint())
    }

    /// Does what talos-image does, with the calls that it makes.
    async fn bring_image(&self) {
        use factory_client::Client;
        use schematic::FactoryUrl;
        let factory = Client::new(FactoryUrl::parse(&self.lab.factory().endpoint()).unwrap()).unwrap();
        let extensions = "            - siderolabs/qemu-guest-agent\n";
        let schematic = format!("customization:\n    systemExtensions:\n        officialExtensions:\n{extensions}");
        assert_eq!(factory.register(&schematic).await.unwrap(), SCHEMATIC);
        self.download("import", "talos.qcow2", &self.image()).await;
    }

    /// Has each host download a file that the factory makes.
    pub(crate) async fn download(&self, content: &str, file: &str, url: &str) {
        let pve = self.client();
        for host in &self.hosts {
            let file = pve_client::request::StoredFile { node: host, storage: "local", content, file };
            let request = pve_client::request::download(&file, url, None);
            pve.run(&request, std::time::Duration::from_secs(30)).await.unwrap();
        }
    }

    /// A client with the lab's own token.
    pub(crate) fn client(&self) -> pve_client::Client {
        let environment = self.lab.env();
        let variable = |name: &str| environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let ca = Some(self.lab.dir().join("pve-root-ca.pem"));
        let settings = pve_client::Settings { ca, ..pve_client::Settings::default() };
        settings.connect(variable).unwrap()
    }

    /// The VM of this name.
    pub(crate) fn vm(&self, name: &str) -> lab::pve::VmView {
        self.lab.pve().vm_by_name(name).unwrap_or_else(|| panic!("no VM {name}"))
    }

    /// Edits the cluster file; the text to replace must be there.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.lab.cluster_file()).unwrap();
        assert!(text.contains(from), "{from:?} is not in the cluster file:\n{text}");
        std::fs::write(self.lab.cluster_file(), text.replacen(from, to, 1)).unwrap();
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_with(arguments, &[]).await
    }

    /// Runs the program on the records of the cluster file, with the image in them.
    pub(crate) async fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Outcome {
        self.start_on(&self.records(), arguments, variables).await
    }

    /// Runs the program on the cluster file itself.
    pub(crate) async fn run_file(&self, arguments: &[&str]) -> Outcome {
        let command = self.command_on(&self.lab.cluster_file(), arguments, &[]);
        Outcome::of(command).await
    }

    /// Runs the program on these records.
    pub(crate) async fn run_on(&self, records: &str, arguments: &[&str]) -> Outcome {
        self.start_on(records, arguments, &[]).await
    }

    /// Runs the program, and kills it once the lab has got such a call after those that it has got already.
    pub(crate) async fn killed_at(&self, call: (&str, &str), arguments: &[&str]) {
        self.killed_after(1, call, arguments).await;
    }

    /// The same once the lab has got so many of these calls.
    pub(crate) async fn killed_after(&self, calls: usize, call: (&str, &str), arguments: &[&str]) {
        let is_it = |request: &(String, String)| request.0 == call.0 && request.1.ends_with(call.1);
        let count = || self.lab.pve().requests().iter().filter(|request| is_it(request)).count();
        let before = count();
        let mut command = self.command(&self.records(), arguments, &[]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(5));
        let came = async {
            while count() < before + calls {
                ticks.tick().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), came)
            .await
            .unwrap_or_else(|_| panic!("no call {call:?}"));
        child.kill().await.unwrap();
    }

    fn command(&self, text: &str, arguments: &[&str], variables: &[(&str, &str)]) -> tokio::process::Command {
        let records = self.lab.dir().join("records.jsonl");
        std::fs::write(&records, text).unwrap();
        self.command_on(&records, arguments, variables)
    }

    fn command_on(
        &self,
        input: &std::path::Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_pve-vm"));
        command.args(["-f", &input.to_string_lossy(), "--format", "jsonl"]).args(arguments);
        if !arguments.contains(&"--wait-timeout") {
            command.args(["--wait-timeout", "60s"]);
        }
        command.env_clear().envs(self.lab.env()).envs(variables.iter().copied()).stdin(Stdio::null());
        command
    }

    /// Runs the program on these records, which get a file of their own: others may run at the same time.
    pub(crate) async fn run_beside(&self, file: &str, records: &str, arguments: &[&str]) -> Outcome {
        let path = self.lab.dir().join(file);
        std::fs::write(&path, records).unwrap();
        Outcome::of(self.command_on(&path, arguments, &[])).await
    }

    async fn start_on(&self, text: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Outcome {
        Outcome::of(self.command(text, arguments, variables)).await
    }

    pub(crate) fn records(&self) -> String {
        let text = std::fs::read_to_string(self.lab.cluster_file()).unwrap();
        let document = record::document::read_yaml(&text).unwrap().swap_remove(0);
        let mut exploded = record::document::explode(&document, self.lab.dir()).unwrap();
        exploded.cluster.set_dir(&self.lab.dir().join(self.lab.name()));
        let volumes: serde_json::Map<String, Value> =
            self.hosts.iter().map(|host| (host.clone(), json!("local:import/talos.qcow2"))).collect();
        let image = json!({"schematic": SCHEMATIC, "version": "v1.13.9", "url": self.image(), "installer": "x",
            "volumes": volumes});
        let image: record::status::Image = serde_json::from_value(image).unwrap();
        exploded.cluster.set_marked(&image, record::Effect::Unchanged, Vec::new());
        let mut lines = vec![serde_json::to_string(&exploded.cluster).unwrap()];
        lines.extend(exploded.nodes.iter().map(|node| serde_json::to_string(node).unwrap()));
        lines.push(serde_json::to_string(&exploded.cluster.ended()).unwrap());
        lines.join("\n") + "\n"
    }
}

impl Outcome {
    async fn of(mut command: tokio::process::Command) -> Self {
        let output = command.output().await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        Self {
            code: output.status.code(),
            records: text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The records as they were written.
    pub(crate) fn text(&self) -> String {
        self.records.iter().map(|record| format!("{record}\n")).collect()
    }

    #[track_caller]
    /// Whether it says that all is well.
    pub(crate) fn is_well(&self) -> bool {
        self.code == Some(0)
    }

    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn never_says(self, text: &str) -> Self {
        assert!(!self.stderr.contains(text), "{text:?} is said:\n{}", self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "{text:?} is not in:\n{}", self.stderr);
        self
    }

    /// `status` of a node.
    #[track_caller]
    pub(crate) fn status(&self, node: &str) -> &Value {
        let found = self.records.iter().find(|record| record["kind"] == "Node" && record["name"] == node);
        found.map_or_else(|| panic!("no record of {node}:\n{}", self.stderr), |record| &record["status"])
    }
}
