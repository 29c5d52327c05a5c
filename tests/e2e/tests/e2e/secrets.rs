use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use lab::pve::Fault;
use lab::scenario::Scenario;
use tonic::Code;

use crate::support::{Outcome, Shape, World};

const SMALL: Shape = Shape { workers: 1, ..Shape::SMALL };
/// Begins every text, so that a test sees that the text was shown at all.
const SAYS: &str = "the peer says";
/// The longest text that fits into the headers of an answer.
const HEADER: usize = 4000;

/// The secrets of the bundle.
fn values() -> Vec<String> {
    let keys = ["secret", "token", "key", "bootstraptoken", "secretboxencryptionsecret", "aescbcencryptionsecret"];
    let pairs = World::secrets().lines().filter_map(|line| line.trim().split_once(": "));
    let values: Vec<_> =
        pairs.filter(|(key, _)| keys.contains(key)).map(|(_, value)| value.trim().to_owned()).collect();
    assert!(values.len() >= 8, "{} values", values.len());
    values
}

/// Each secret in each encoding: what nobody may see.
fn forbidden() -> Vec<String> {
    let encodings = |value: &String| {
        let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
        let url = value.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        let mut forms = vec![value.clone(), STANDARD.encode(value), URL_SAFE_NO_PAD.encode(value), hex, url];
        if let Ok(Ok(pem)) = STANDARD.decode(value).map(String::from_utf8) {
            let body: Vec<&str> = pem.lines().filter(|line| !line.starts_with("---")).collect();
            forms.extend([pem.replace('\n', "\\n"), body.concat()]);
        }
        forms
    };
    values().iter().flat_map(encodings).collect()
}

/// Texts of at most this many bytes that hold all of them.
fn texts(most: usize) -> Vec<String> {
    let mut texts = vec![SAYS.to_owned()];
    for form in forbidden().iter().filter(|form| form.len() + SAYS.len() + 2 <= most) {
        if texts.last().unwrap().len() + form.len() + 2 > most {
            texts.push(SAYS.to_owned());
        }
        texts.last_mut().unwrap().extend([", ", form]);
    }
    texts
}

impl Outcome {
    /// Asserts that a peer's text was shown, and no secret with it, neither here nor in a file that isn't for secrets.
    #[track_caller]
    fn shows_no_secret(self, world: &World) -> Self {
        assert!(self.stderr.contains(SAYS), "the text was not shown\n{self}");
        self.holds_no_secret(world)
    }

    #[track_caller]
    fn holds_no_secret(self, world: &World) -> Self {
        let own = ["secrets.yaml", "talosconfig", "kubeconfig", "lab/nodes/"];
        let files = world.scratch.files("").into_iter().filter(|file| !own.iter().any(|own| file.contains(own)));
        let files: String = files
            .map(|file| String::from_utf8_lossy(&std::fs::read(world.scratch.path(&file)).unwrap()).into_owned())
            .collect();
        for form in forbidden() {
            for (place, text) in [("stdout", &self.stdout), ("stderr", &self.stderr), ("a file", &files)] {
                assert!(!text.contains(&form), "{form} is in {place}");
            }
        }
        self
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_with_the_diff_of_the_configs_shows_neither_the_old_nor_the_new_secret() {
    let world = World::start(SMALL).await;
    world.up().await.exits(0);
    let (new, address) = ("zyxwvu.0123456789abcdef", world.node("w-1").address().unwrap());
    let config = world.scratch.read("lab/nodes/w-1.yaml");
    let old = config.lines().find_map(|line| line.trim().strip_prefix("token: ")).unwrap().to_owned();
    world.scratch.write("lab/nodes/changed.yaml", config.replacen(&old, new, 1));
    for mode in ["no-reboot", "try", "auto"] {
        let apply =
            format!("talos-apply -n {address} -f lab/nodes/changed.yaml --talosconfig lab/talosconfig --mode {mode}");
        let outcome = world.sh(&apply).await.holds_no_secret(&world).never_says(new);
        assert!(!outcome.stdout.contains(new), "{outcome}");
        match mode {
            "auto" => outcome.exits(7).says("would reboot the node: machine.token can't change while the node runs"),
            _ => outcome
                .exits(1)
                .says("can't be applied in immediate mode: machine.token can't change while the node runs")
                .says("~ machine.token"),
        };
    }
}

/// A look that fails once is asked for again.
fn fails_twice(world: &World, call: &'static str, text: &str) {
    (0..2).for_each(|_| world.node("cp-1").fail_next(Some(call), Code::Internal, text));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_the_bundle_is_shown_whatever_a_node_says() {
    let world = World::start(SMALL).await;
    world.sh("talos-image | pve-vm | talos-gen > lab.jsonl").await.exits(0);
    for text in texts(HEADER) {
        world.node("w-1").fail_next(Some("ApplyConfiguration"), Code::InvalidArgument, &text);
        world.sh("talos-apply -f lab.jsonl --only w-1").await.exits(1).shows_no_secret(&world);
    }
    let all = texts(usize::MAX).concat();
    world.node("w-1").says(Some(&all));
    world.node("cp-1").says(Some(&all));
    let outcome = world.sh("talos-apply -f lab.jsonl | tee applied.jsonl").await.exits(0);
    outcome.says("warning: node w-1").shows_no_secret(&world);
    for text in texts(HEADER) {
        world.node("cp-1").fail_next(Some("Bootstrap"), Code::Internal, &text);
        world.sh("talos-bootstrap -f applied.jsonl").await.exits(1).shows_no_secret(&world);
        fails_twice(&world, "List", &text);
        world.sh("talos-bootstrap -f applied.jsonl").await.exits(1).shows_no_secret(&world);
    }
    world.sh("talos-bootstrap -f applied.jsonl > started.jsonl").await.exits(0).holds_no_secret(&world);
    for text in texts(HEADER) {
        fails_twice(&world, "Kubeconfig", &text);
        world.sh("kubeconfig-export -f started.jsonl").await.exits(1).shows_no_secret(&world);
        fails_twice(&world, "EtcdMemberList", &text);
        world.sh("talos-wait -f started.jsonl --for etcd").await.holds_no_secret(&world);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_the_bundle_is_shown_whatever_a_server_says() {
    let all = texts(usize::MAX).concat();
    let scenario = format!(
        "apiVersion: ichor-lab/v1\nkind: Scenario\nname: talkative\nfaults:\n  - {{on: kubernetes, call: GET /readyz*, do: fail, status: 500, message: '{all}'}}\n"
    );
    let world = World::start_with(SMALL, |options| lab::Options {
        scenario: Some(Scenario::parse(&scenario).unwrap()),
        ..options
    })
    .await;
    let talk = |status| Fault::Fail { status, message: all.clone() };

    world.lab.factory().fail_next("/schematics", 400, &all);
    world.sh("talos-image").await.shows_no_secret(&world);
    for form in texts(500) {
        world.lab.factory().fail_next("/schematics", 400, &form);
        world.sh("talos-image").await.shows_no_secret(&world);
    }
    world.lab.pve().fault("GET", "/cluster/resources", talk(400));
    world.sh("talos-image | pve-vm").await.shows_no_secret(&world);
    world.lab.pve().heal();
    world.lab.pve().fail_create("w-1", &all, 1);
    world.sh("talos-image | pve-vm").await.shows_no_secret(&world);
    world.lab.pve().heal();
    let pipe = World::pipe().replace("--for ready", "--for ready --wait-timeout 2s");
    world.sh(&pipe).await.exits(5).shows_no_secret(&world);
}
