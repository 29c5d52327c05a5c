//! Calls that were made one by one on real hosts, with the tasks that they began: the lab is asked the same.
//!
//! What varies is masked in the records: identifiers, times, the storage (`STORE`) and its folder (`DIR`). Of some
//! answers only the kinds of the values are kept (`int`, `str` …); of those the names of the fields are compared.

use lab::pve::Release;
use serde_json::{Map, Value, json};

use super::stage::{Answer, Stage};

/// Lines that say something of the place where they were recorded: nothing could be plugged into its emulator, bridges
/// were not looked for, and names of hosts not found.
pub(crate) type Skipped = &'static [usize];

/// Asks the lab everything that a file holds; what differs, and how many records were compared.
pub(crate) async fn replay(text: &str, release: Release, skipped: Skipped) -> (usize, Vec<String>) {
    let mut stage = Stage::of_probes(release);
    let (mut equal, mut wrong) = (0, Vec::new());
    for (line, record) in text.lines().enumerate() {
        let record: Value = serde_json::from_str(record).unwrap();
        let label = record["label"].as_str().unwrap();
        stage.answer_as_agent(label == "agent" || label == "shutdown");
        let before = stage.pve.tasks().len();
        let answer = stage.send(&request(&record)).await;
        if skipped.contains(&(line + 1)) {
            continue;
        }
        let own = observed(&stage, &answer, before);
        match difference(&record["real"], &own) {
            None => equal += 1,
            Some(text) => wrong.push(format!("line {} {label}: {text}", line + 1)),
        }
    }
    (equal, wrong)
}

/// The request of a record, as [`Stage::send`] takes it.
fn request(record: &Value) -> Value {
    let text = |text: &str| text.replace("STORE", "local").replace("DIR", "/var/lib/vz");
    let (method, path) = record["call"].as_str().unwrap().split_once(' ').unwrap();
    let mut path = format!("/api2/json{}", text(path));
    let form = record["form"].as_object().cloned().unwrap_or_default();
    let form: Map<String, Value> = form.into_iter().map(|(key, value)| (key, json!(text(&plain(&value))))).collect();
    let in_query = matches!(method, "GET" | "DELETE");
    if in_query && !form.is_empty() {
        let pairs: Vec<String> = form.iter().map(|(key, value)| format!("{key}={}", plain(value))).collect();
        path = format!("{path}?{}", pairs.join("&"));
    }
    let form = if in_query { Value::Null } else { Value::Object(form) };
    json!({"method": method, "path": path, "form": form, "auth": record["who"], "enc": "form", "note": "probe"})
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What the lab answered and did, in the form of the records.
fn observed(stage: &Stage, answer: &Answer, before: usize) -> Value {
    let mut own = json!({"status": answer.status, "reason": answer.reason, "errors": answer.body["errors"]});
    let task = stage.pve.tasks().into_iter().nth(before);
    match task {
        Some(task) => {
            own["task"] = task.exit.into();
            own["upidtype"] = task.kind.into();
            own["log"] = task.log.into();
        }
        None => own["data"] = answer.body["data"].clone(),
    }
    masked(&own)
}

fn masked(value: &Value) -> Value {
    match value {
        Value::String(text) => masked_text(text).into(),
        Value::Array(list) => list.iter().map(masked).collect(),
        Value::Object(fields) => {
            // A row about an option holds its name as the `key`.
            let option = fields.get("key").and_then(Value::as_str);
            let mask = |(key, value): (&String, &Value)| match (key.as_str(), option) {
                ("digest", _) | ("value", Some("digest")) => (key.clone(), "DIGEST".into()),
                ("vmgenid", _) | ("value", Some("vmgenid")) => (key.clone(), "UUID".into()),
                ("local", _) => ("STORE".to_owned(), masked(value)),
                _ => (key.clone(), masked(value)),
            };
            Value::Object(fields.iter().map(mask).collect())
        }
        other => other.clone(),
    }
}

fn masked_text(text: &str) -> String {
    let text = text.replace("/var/lib/vz", "DIR").replace("local:", "STORE:");
    let parts: Vec<String> = text.split(',').map(masked_part).collect();
    parts.join(",")
}

fn masked_part(part: &str) -> String {
    if let Some(before) = part.strip_suffix("local").filter(|before| before.is_empty() || before.ends_with(' ')) {
        return format!("{before}STORE");
    }
    let Some((key, value)) = part.rsplit_once('=') else { return part.to_owned() };
    let is_mac = value.len() == 17 && value.split(':').count() == 6 && value.to_uppercase() == value;
    match (key.rsplit(' ').next(), is_mac) {
        (_, true) => format!("{key}=MAC"),
        (Some("uuid"), _) => format!("{key}=UUID"),
        (Some("ctime"), _) => format!("{key}=T"),
        _ => part.to_owned(),
    }
}

fn difference(real: &Value, own: &Value) -> Option<String> {
    for key in ["status", "reason", "errors", "task", "upidtype"] {
        if real[key] != own[key] {
            return Some(format!("{key} is {} instead of {}", own[key], real[key]));
        }
    }
    if lines(&real["log"]) != lines(&own["log"]) {
        return Some(format!("log {:?} instead of {:?}", lines(&own["log"]), lines(&real["log"])));
    }
    let (real, own) = (&real["data"], &own["data"]);
    match real {
        Value::Object(fields) if is_shape(real) => names(fields.keys(), std::slice::from_ref(own)),
        Value::Object(fields) => values(fields, own),
        Value::Array(rows) if rows.len() == 1 && is_shape(&rows[0]) => {
            names(rows[0].as_object()?.keys(), own.as_array().map_or(&[], Vec::as_slice))
        }
        Value::Array(rows) => {
            (sorted(rows) != sorted(own.as_array()?)).then(|| format!("rows {own} instead of {real}"))
        }
        Value::String(text) if text == "list" => (!own.is_array()).then(|| format!("{own} is no list")),
        _ => (real.is_string() != own.is_string()).then(|| format!("data {own} instead of {real}")),
    }
}

/// Lines of a log; the time in one of them is masked.
fn lines(log: &Value) -> Vec<String> {
    let lines = log.as_array().into_iter().flatten().filter_map(Value::as_str);
    let timed = |line: &str| line.starts_with("--20") && line.contains("--  http");
    lines.map(|line| if timed(line) { format!("--TIME--  {}", &line[25..]) } else { line.to_owned() }).collect()
}

fn sorted(rows: &[Value]) -> Vec<String> {
    let fields = |row: &Value| row.as_object().into_iter().flatten().map(|(k, v)| format!("{k}={v}")).collect();
    let ordered = |row: &Value| {
        let mut fields: Vec<String> = fields(row);
        fields.sort();
        fields.join(" ")
    };
    let mut rows: Vec<String> = rows.iter().map(ordered).collect();
    rows.sort();
    rows
}

fn is_shape(value: &Value) -> bool {
    let kinds = ["str", "int", "float", "dict", "list", "bool"];
    let fields = value.as_object();
    fields.is_some_and(|fields| fields.values().all(|value| value.as_str().is_some_and(|text| kinds.contains(&text))))
}

/// The names of the fields that all rows together have.
fn names<'a>(real: impl Iterator<Item = &'a String>, own: &[Value]) -> Option<String> {
    let real: Vec<&String> = real.collect();
    let mut known: Vec<&String> = own.iter().filter_map(Value::as_object).flat_map(Map::keys).collect();
    known.sort();
    known.dedup();
    let missing: Vec<_> = real.iter().filter(|name| !known.contains(name)).collect();
    let more: Vec<_> = known.iter().filter(|name| !real.contains(name)).collect();
    (!missing.is_empty() || !more.is_empty()).then(|| format!("fields {missing:?} are missing, {more:?} are too many"))
}

/// The values of the fields that a record holds, and no others if it holds them all.
fn values(real: &Map<String, Value>, own: &Value) -> Option<String> {
    let own = own.as_object()?;
    let whole = real.len() > 5;
    let names = real.keys().chain(own.keys().filter(|_| whole));
    let value = |fields: &Map<String, Value>, name: &String| fields.get(name).cloned().unwrap_or_default();
    let wrong = names.filter(|name| value(real, name) != value(own, name));
    let wrong: Vec<String> =
        wrong.map(|name| format!("{name} is {} instead of {}", value(own, name), value(real, name))).collect();
    (!wrong.is_empty()).then(|| wrong.join(", "))
}
