use crate::support::{STEPS, Scratch};

const FILE: &str = "
apiVersion: ichor/v1
kind: Cluster
name: lab
spec:
  talos: {version: v1.13.9}
  kubernetes: {version: v1.36.3}
  network: {gateway: 127.9.9.1, vip: 127.9.9.10}
nodes:
  - {name: cp-1, role: controlplane, address: 127.9.9.11/24}
  - {name: w-1, role: worker, address: 127.9.9.21/24}
";

/// A name that is one character too long for an RFC 1123 label.
const LONG_NAME: &str = "name: a234567890123456789012345678901234567890123456789012345678901234";

/// Asserts that each step refuses this input with this status and message, and writes no file and no records except
/// those that it received.
async fn refused_by_all(contents: &[u8], status: i32, message: &str) {
    let scratch = Scratch::new();
    scratch.write("input", contents);
    for step in STEPS {
        let outcome = scratch.sh(&format!("{step} < input")).await.exits(status).says(message);
        let errors = outcome.stderr.lines().filter(|line| line.contains(" error: ")).count();
        assert_eq!(errors, 1, "{step}: one clear message\n{outcome}");
        assert!(!outcome.stderr.contains("panicked"), "{outcome}");
        assert_eq!(scratch.files(""), ["input"], "{step} wrote something");
    }
}

#[tokio::test]
async fn an_empty_input_is_told_from_a_complete_one() {
    refused_by_all(b"", 8, "no input: stdin is empty").await;
    refused_by_all(b"\xEF\xBB\xBF \r\n", 8, "no input: stdin is empty").await;
}

#[tokio::test]
async fn what_is_not_json_is_refused() {
    refused_by_all(b"hello", 8, "not a map").await;
    refused_by_all(b"{\"apiVersion\":", 8, "the input ends inside the record").await;
    refused_by_all(b"[{}]", 8, "not a map").await;
}

#[tokio::test]
async fn other_peoples_files_are_called_by_their_names() {
    refused_by_all(b"apiVersion: v1\nkind: Config\nclusters: []\n", 8, "this is a kubeconfig").await;
    refused_by_all(b"{\"apiVersion\":\"v1\",\"kind\":\"Config\"}", 8, "this is a kubeconfig").await;
    refused_by_all(b"version: v1alpha1\nmachine: {type: worker}\n", 8, "Talos machine config").await;
}

#[tokio::test]
async fn invalid_utf8_is_placed() {
    refused_by_all(b"apiVersion: ichor/v1\nname: \xff\n", 8, "invalid UTF-8 on line 2").await;
    refused_by_all(b"{\"apiVersion\":\"\xff\"}", 8, "invalid UTF-8 at byte 16").await;
}

#[tokio::test]
async fn a_line_of_100_mb_is_refused() {
    let mut line = br#"{"apiVersion":"ichor/v1","kind":"Cluster","name":""#.to_vec();
    line.resize(100 << 20, b'x');
    refused_by_all(&line, 8, "larger than 64 MiB").await;
}

#[tokio::test]
async fn mistakes_in_a_cluster_file_are_refused_by_whoever_reads_it() {
    let table = [
        ("kind: Cluster", "kind: Node", "kind is \"Node\""),
        ("ichor/v1", "ichor/v9", "ichor/v9"),
        ("name: lab", "name: ../x", "\"../x\" is not a valid name"),
        ("name: w-1", LONG_NAME, "is not a valid name"),
        ("name: w-1", "name: cp-1", "node cp-1 is listed twice"),
        ("role: worker", "role: master", "role of w-1 is \"master\""),
        ("127.9.9.21/24", "127.9.9.11/24", "the same address 127.9.9.11"),
        ("127.9.9.21/24", "127.9.9.10/24", "address 127.9.9.10 is the VIP"),
        ("127.9.9.21/24", "127.9.8.21/24", "outside the network of the gateway"),
        ("127.9.9.21/24", "127.9.9.21", "has no prefix length"),
        ("role: controlplane", "role: worker", "no node has role: controlplane"),
        ("version: v1.36.3", "version: 1.36", "1.36 is a number"),
        ("version: v1.36.3", "version: v1.36", "v1.36 is not a full version"),
        ("nodes:", "nodez:", "did you mean `nodes`"),
    ];
    for (from, to, message) in table {
        refused_by_all(FILE.replacen(from, to, 1).as_bytes(), 8, message).await;
    }
    let without = FILE.replace(", vip: 127.9.9.10", "").replace(", address: 127.9.9.11/24", "");
    refused_by_all(without.as_bytes(), 8, "spec.endpoint is not set and can't be derived").await;
    refused_by_all(format!("{FILE}---\n{FILE}").as_bytes(), 8, "2 documents in one cluster file").await;
}

#[tokio::test]
async fn crlf_bom_and_a_missing_last_newline_are_no_mistakes() {
    let scratch = Scratch::new();
    let odd = format!("\u{feff}{}", FILE.trim_end().replace('\n', "\r\n"));
    scratch.write("odd.yaml", odd);
    scratch.write("plain.yaml", FILE);
    let odd = scratch.sh("talos-gen --dry-run -f odd.yaml").await.exits(3);
    let plain = scratch.sh("talos-gen --dry-run -f plain.yaml").await.exits(3);
    assert_eq!(odd.node("cp-1")["spec"], plain.node("cp-1")["spec"]);
}

#[tokio::test]
async fn an_even_number_of_control_planes_is_a_warning() {
    let scratch = Scratch::new();
    scratch.write("cluster.yaml", FILE.replace("role: worker", "role: controlplane"));
    scratch.sh("talos-gen --dry-run -f cluster.yaml").await.exits(3).says("use an odd number");
}

#[tokio::test]
async fn streams_that_break_the_contract_are_refused() {
    if judges::require("jq").is_none() {
        return;
    }
    let scratch = Scratch::new();
    scratch.write("cluster.yaml", FILE);
    scratch.sh("talos-gen --dry-run -f cluster.yaml > lab.jsonl").await.exits(3);
    let refused_with = async |status: i32, filter: &str, message: &str| {
        let outcome = scratch.sh(&format!("{filter} | talos-apply > /dev/null")).await;
        outcome.exits(status).says(message);
    };
    let refused = async |filter: &str, message: &str| refused_with(8, filter, message).await;
    refused("cat lab.jsonl lab.jsonl", "a second stream follows").await;
    refused_with(5, "head -n 2 lab.jsonl", "the input was cut").await;
    scratch.sh("head -n 2 lab.jsonl > cut.jsonl").await.exits(0);
    scratch.sh("talos-apply -f cut.jsonl > /dev/null").await.exits(8).says("the input was cut");
    refused("grep -v Cluster lab.jsonl", "before its Cluster record").await;
    refused("sed 's/\"cluster\":\"lab\"/\"cluster\":\"prod\"/' lab.jsonl", "belongs to cluster prod").await;
    refused("sed '2s/\"name\":\"lab\"/\"name\":\"prod\"/' lab.jsonl", "two clusters in one input").await;
    refused("jq -c 'select(.name!=\"w-1\")' lab.jsonl", "listed in the cluster but missing from the input: w-1").await;
    refused("jq -c 'if .kind==\"Node\" then .,. else . end' lab.jsonl", "comes twice").await;
    refused("jq -c 'if .name==\"w-1\" then .name=\"w-9\" else . end' lab.jsonl", "node w-9 is not in the").await;
    refused("jq -cs . lab.jsonl", "not a map").await;
}

#[tokio::test]
async fn a_file_and_a_pipe_at_once_are_ambiguous() {
    let scratch = Scratch::new();
    scratch.write("cluster.yaml", FILE);
    let outcome = scratch.sh("echo '{}' | talos-gen -f cluster.yaml").await;
    outcome.exits(2).says("-f cluster.yaml and a pipe on stdin: only one can be the input");
    scratch.sh("true | talos-gen --dry-run -f cluster.yaml > /dev/null").await.exits(3);
    // Some runners give a program a pipe that they neither write to nor close.
    let idle = "mkfifo idle; exec 3<> idle; talos-gen --dry-run -f cluster.yaml < idle > /dev/null";
    scratch.sh(idle).await.exits(3);
}

#[tokio::test]
async fn files_that_cannot_be_input_are_named() {
    let scratch = Scratch::new();
    scratch.write("cluster.yaml", FILE);
    scratch.sh("talos-gen --dry-run -f cluster.yaml > lab.jsonl").await.exits(3);
    scratch.sh("talos-gen -f .").await.exits(8).says(". is a directory");
    scratch.sh("talos-gen -f nowhere.yaml").await.exits(2).says("nowhere.yaml: no such file");
    scratch.sh("talos-gen -f lab.jsonl >> lab.jsonl").await.exits(2).says("both input and output");
    scratch.sh("talos-gen < lab.jsonl >> lab.jsonl").await.exits(2).says("the same file");
    // Root reads everything, unless it drops that right.
    let humbly = match rustix::process::geteuid().is_root() {
        true => "setpriv --bounding-set=-dac_override,-dac_read_search",
        false => "",
    };
    let unreadable = format!("chmod 0 cluster.yaml; {humbly} talos-gen -f cluster.yaml");
    scratch.sh(&unreadable).await.exits(6).says("permission denied");
    let unwritable =
        format!("chmod 600 cluster.yaml; mkdir shut; chmod 500 shut; {humbly} talos-gen -f cluster.yaml --dir shut");
    scratch.sh(&unwritable).await.exits(6).says("Permission denied");
}

#[tokio::test]
async fn an_output_that_cannot_be_written_is_one_clear_error() {
    let scratch = Scratch::new();
    scratch.write("cluster.yaml", FILE);
    let full = scratch.sh("talos-gen --dry-run -f cluster.yaml > /dev/full").await.exits(1);
    full.says("the output cannot be written: No space left on device").never_says("panicked");
    let limit = scratch.sh("ulimit -f 0; talos-gen --dry-run -f cluster.yaml > out.jsonl").await.exits(1);
    limit.says("the output cannot be written: File too large");
}

#[tokio::test]
async fn a_file_size_limit_leaves_nothing_half_written() {
    let scratch = Scratch::new();
    scratch.write("cluster.yaml", FILE);
    let outcome = scratch.sh("ulimit -f 1; talos-gen -f cluster.yaml > /dev/null").await;
    outcome.exits(1).says("File too large").never_says("panicked");
    for file in scratch.files("lab") {
        assert!([".gitignore", "ichor.lock"].contains(&file.as_str()), "{file} was left behind");
    }
}
