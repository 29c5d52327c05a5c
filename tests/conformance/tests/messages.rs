//! Every program, verb, flag and file that a message, a hint or a help text names exists.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "messages/scan.rs"]
mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use regex::Regex;
use scan::texts;

/// The cluster file and the files in the cluster's folder, those that `talos-gen config` writes, and one that Talos
/// puts into its images. `{}` stands for a name.
const FILES: [&str; 7] = [
    "cluster.yaml",
    "ichor.lock",
    "secrets.yaml",
    "nodes/{}.yaml",
    "controlplane.yaml",
    "worker.yaml",
    "extensions.yaml",
];

/// Programs of others, with the flags of theirs that our texts name.
const OTHERS: [(&str, &[&str]); 9] = [
    ("pveum", &["--tokens", "--users", "--roles", "--path"]),
    ("pvesm", &["--content"]),
    ("pvecm", &[]),
    ("ha-manager", &["--state"]),
    ("qm", &["--delete", "--target-vmid", "--target-disk"]),
    ("pvesh", &["--vms", "--allow-move"]),
    ("talosctl", &["--to", "--image", "--insecure", "--recover-from", "--talosconfig"]),
    ("kubectl", &[]),
    ("git", &[]),
];

/// Words that look like programs of ours, and are something else: parts of Kubernetes, an extension of Talos, and the
/// mark of our VMs.
const NOT_PROGRAMS: [&str; 12] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-dns",
    "kube-proxy",
    "kube-scheduler",
    "kube-system",
    "talos-vmtoolsd",
    "ichor-uid",
    "ichor-role",
    "ichor-disks",
    "ichor-seed",
    "ichor-trial",
];

/// Flags of kube-apiserver that a text of Talos names, outside backticks.
const IN_WORDS_OF_TALOS: [&str; 1] = ["--oidc-"];

type Pattern = LazyLock<Regex>;

/// Words that look like programs of ours.
static PROGRAM: Pattern =
    LazyLock::new(|| Regex::new(r"(?:talos|pve|kube|kubeconfig|k8s|ichor)-[a-z0-9-]*[a-z0-9]|ichor").unwrap());
static FLAG: Pattern = LazyLock::new(|| Regex::new("--[a-z][a-z0-9-]*").unwrap());
static FILE: Pattern = LazyLock::new(|| Regex::new(r"[A-Za-z0-9_{}<>/-]+\.(?:ya?ml|lock|jsonl?|toml)").unwrap());
static PLACEHOLDER: Pattern = LazyLock::new(|| Regex::new(r"\{[^}]*\}|<[a-z]+>").unwrap());

/// What exists: each program with its verbs and flags.
struct Programs(BTreeMap<String, Program>);

#[derive(Default)]
struct Program {
    verbs: BTreeSet<String>,
    flags: BTreeSet<String>,
}

impl Program {
    fn read(&mut self, help: &str) {
        let flag = Regex::new(r"(?m)^\s+(?:-\w, )?(--[a-z][a-z0-9-]*)").unwrap();
        self.flags.extend(flag.captures_iter(help).map(|found| found[1].to_owned()));
    }
}

impl Programs {
    /// Asks the programs themselves.
    fn installed() -> Self {
        let mut programs: BTreeMap<String, Program> = BTreeMap::new();
        for row in record::table::rows() {
            let mut words = row.name.split(' ');
            let program = programs.entry(words.next().unwrap().to_owned()).or_default();
            program.verbs.extend(words.map(str::to_owned));
        }
        let names: Vec<String> = programs.keys().cloned().collect();
        for (name, program) in &mut programs {
            if name == "ichor" {
                program.verbs.extend(names.iter().cloned());
                program.read(&help(&["explode"]));
                continue;
            }
            let text = help(&[name]);
            program.read(&text);
            // Values of a verb: `- list: …`.
            program.verbs.extend(first_words(section(&text, "Arguments:"), "(?m)^ +- ([a-z]+):"));
            for command in first_words(section(&text, "Commands:"), "(?m)^  ([a-z]+)") {
                if command != "help" {
                    program.read(&help(&[name, &command]));
                }
                program.verbs.insert(command);
            }
        }
        Self(programs)
    }

    fn has_flag(&self, flag: &str) -> bool {
        let everywhere = ["--help", "--version"].into_iter().chain(IN_WORDS_OF_TALOS);
        everywhere.into_iter().any(|known| known == flag) || self.0.values().any(|program| program.flags.contains(flag))
    }

    /// The names in a text that don't exist.
    fn unknown(&self, text: &str) -> Vec<String> {
        let mut unknown: Vec<String> = self.programs_in(text).chain(files_in(text)).collect();
        // Between backticks is a command line; the rest is prose.
        for (index, part) in text.split('`').enumerate() {
            unknown.extend(if index % 2 == 1 { self.unknown_in_command(part) } else { self.unknown_flags(part) });
        }
        unknown
    }

    fn programs_in<'a>(&'a self, text: &'a str) -> impl Iterator<Item = String> + 'a {
        words(text, &PROGRAM)
            .filter(|word| !self.0.contains_key(*word) && !NOT_PROGRAMS.contains(word))
            .map(|word| format!("program {word}"))
    }

    fn unknown_flags(&self, text: &str) -> Vec<String> {
        let unknown = words(text, &FLAG).filter(|flag| !self.has_flag(flag));
        unknown.map(|flag| format!("flag {flag}")).collect()
    }

    fn unknown_in_command(&self, line: &str) -> Vec<String> {
        let mut parts = line.split_whitespace();
        let first = parts.next().unwrap_or_default();
        let flags = || words(line, &FLAG);
        if let Some((_, theirs)) = OTHERS.iter().find(|(name, _)| *name == first) {
            return flags().filter(|flag| !theirs.contains(flag)).map(|flag| format!("flag {first} {flag}")).collect();
        }
        let Some(program) = self.0.get(first) else { return self.unknown_flags(line) };
        let exists = |flag: &str| ["--help", "--version"].contains(&flag) || program.flags.contains(flag);
        let mut unknown: Vec<_> =
            flags().filter(|flag| !exists(flag)).map(|flag| format!("flag {first} {flag}")).collect();
        let verb = parts.next().filter(|word| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'));
        unknown.extend(
            verb.filter(|verb| !verb.starts_with('-') && !program.verbs.contains(*verb))
                .map(|verb| format!("verb {first} {verb}")),
        );
        unknown
    }
}

/// The lines of a help text below a heading.
fn section<'a>(help: &'a str, heading: &str) -> &'a str {
    let below = help.split_once(&format!("\n{heading}\n")).map_or("", |(_, below)| below);
    let next = Regex::new(r"(?m)^\S").unwrap();
    next.find(below).map_or(below, |next| &below[..next.start()])
}

fn first_words(text: &str, pattern: &str) -> Vec<String> {
    Regex::new(pattern).unwrap().captures_iter(text).map(|found| found[1].to_owned()).collect()
}

/// Files that a text names and nobody writes.
fn files_in(text: &str) -> impl Iterator<Item = String> + '_ {
    let named = words(text, &FILE);
    let named = named.map(|word| PLACEHOLDER.replace_all(word, "{}").into_owned());
    named.filter(|word| !FILES.contains(&word.as_str())).map(|word| format!("file {word}"))
}

/// The matches of a pattern that are whole words: not parts of paths, URLs or longer names.
fn words<'a>(text: &'a str, pattern: &Regex) -> impl Iterator<Item = &'a str> + use<'a> {
    let found: Vec<_> = pattern.find_iter(text).map(|found| found.range()).collect();
    let glue = |c: char| c.is_ascii_alphanumeric() || "-_/@.".contains(c);
    found.into_iter().filter_map(move |range| {
        let before = text[..range.start].chars().next_back();
        let mut after = text[range.end..].chars();
        let ends = match after.next() {
            // A full stop ends a sentence.
            Some('.') => after.next().is_none_or(char::is_whitespace),
            Some('-' | '_' | '/' | '@') => false,
            Some(c) => !c.is_ascii_alphanumeric(),
            None => true,
        };
        (ends && !before.is_some_and(glue)).then(|| &text[range])
    })
}

/// The help of a program.
fn help(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_ichor-for-messages")).args(arguments).arg("--help").output().unwrap();
    assert!(output.status.success(), "{arguments:?} --help: {}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// Source files of the product, without tests.
fn sources() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let crates = ["tools", "shared"].iter().flat_map(|layer| std::fs::read_dir(root.join(layer)).unwrap());
    let files = crates.flat_map(|package| {
        let source = package.unwrap().path().join("src");
        if source.is_dir() { conformance::files(&source) } else { Vec::new() }
    });
    let is_test = |path: &Path| {
        path.strip_prefix(&root).unwrap().iter().any(|part| part == "tests" || part == "tests.rs" || part == "gen")
    };
    files.filter(|path| path.extension().is_some_and(|end| end == "rs") && !is_test(path)).collect()
}

#[test]
fn whatever_a_text_names_exists() {
    let programs = Programs::installed();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for path in sources() {
        for (line, text) in texts(&conformance::text(&path)) {
            count += 1;
            let unknown = programs.unknown(&text);
            wrong.extend(unknown.iter().map(|what| format!("{}:{line}: {what} in {text:?}", path.display())));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 2000, "only {count} texts were found");
}

#[test]
fn what_does_not_exist_is_found() {
    let programs = Programs::installed();
    for (text, wanted) in [
        ("`talos-upgrade` does that", "program talos-upgrade"),
        ("run talos-upgrade.", "program talos-upgrade"),
        ("see `pve-vm remove -f F`", "verb pve-vm remove"),
        ("`pve-vm destroy -f F --orphaned w-2` removes it", "flag pve-vm --orphaned"),
        ("`talos-wait --recreate`", "flag talos-wait --recreate"),
        ("--orphaned allows it", "flag --orphaned"),
        ("`qm unlock 100 --hard`", "flag qm --hard"),
        ("restore secret.yaml first", "file secret.yaml"),
        ("restore nodes/{name}.yml", "file nodes/{}.yml"),
    ] {
        assert_eq!(programs.unknown(text), [wanted], "{text}");
    }
    for text in [
        "`talos-wait --for etcd`, `pve-vm list`, `ichor talos-apply --help`, `talos-gen secrets --force`",
        "remove https://factory.talos.dev/image/talos-upgrade from `images` in ichor.lock.",
        "`pveum acl modify / --tokens TOKEN`, --reboot and nodes/<node>.yaml",
    ] {
        assert!(programs.unknown(text).is_empty(), "{text}: {:?}", programs.unknown(text));
    }
}
