//! Who has set which fields of an object: `metadata.managedFields`, and what a server-side apply makes of it.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{patch, resources};

/// The way to a field: `f:name` for a field, `k:{…}` for an element of a list, at the end `.` for the element itself.
type Path = Vec<String>;

/// Stands for an element that is there, whatever is in it.
static THERE: Value = Value::Bool(true);

/// Whether the elements of an object's lists are distinguished by keys; those of kinds that users define are not.
fn is_keyed(object: &Value) -> bool {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    resources::BUILT_IN.iter().any(|kind| kind.group == group && kind.version == version)
}

/// What the server sets itself.
const SYSTEM: &[&str] =
    &["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "namespace", "name"];

/// The fields that have a value.
fn leaves(object: &Value) -> BTreeSet<Path> {
    let mut found = BTreeSet::new();
    let keyed = is_keyed(object);
    for (key, value) in object.as_object().into_iter().flatten() {
        let system = |name: &str| key == "metadata" && SYSTEM.contains(&name);
        match (key.as_str(), value) {
            ("kind" | "apiVersion" | "status", _) => {}
            ("metadata", Value::Object(inner)) => {
                for (name, value) in inner.iter().filter(|(name, _)| !system(name)) {
                    let path = vec!["f:metadata".to_owned(), format!("f:{name}")];
                    walk(value, (name, "metadata", true), path, &mut found);
                }
            }
            (key, value) => walk(value, (key, "", keyed), vec![format!("f:{key}")], &mut found),
        }
    }
    found
}

fn walk(value: &Value, (name, above, keyed): (&str, &str, bool), path: Path, found: &mut BTreeSet<Path>) {
    let with = |step: String| [path.clone(), vec![step]].concat();
    match (value, patch::key_of(name, above).filter(|_| keyed)) {
        (Value::Object(map), _) if !map.is_empty() => {
            for (key, value) in map {
                walk(value, (key, name, keyed), with(format!("f:{key}")), found);
            }
        }
        (Value::Array(elements), Some(by)) => {
            for element in elements {
                let path = with(format!("k:{}", json!({ by: element[by] })));
                found.insert([path.clone(), vec![".".to_owned()]].concat());
                for (key, value) in element.as_object().into_iter().flatten() {
                    walk(value, (key, name, keyed), [path.clone(), vec![format!("f:{key}")]].concat(), found);
                }
            }
        }
        _ => drop(found.insert(path)),
    }
}

/// The place of the element of a list that has a key.
fn place(list: &[Value], key: &str) -> Option<usize> {
    let key: Map<String, Value> = serde_json::from_str(key).ok()?;
    list.iter().position(|element| key.iter().all(|(name, wanted)| &element[name] == wanted))
}

/// The value at a path.
fn at<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, step| match step.split_once(':') {
        Some(("f", name)) => value.get(name),
        Some((_, key)) => value.as_array().and_then(|list| list.get(place(list, key)?)),
        None => Some(&THERE),
    })
}

/// Takes the value at a path away; the field that is the key of an element goes with it only.
fn take(object: &mut Value, path: &[String]) {
    let Some((last, parents)) = path.split_last() else { return };
    let (element, parents) = match (last.as_str(), parents.split_last()) {
        (".", Some((element, parents))) => (Some(element), parents),
        _ => (None, parents),
    };
    let pointer = parents.iter().try_fold(&mut *object, |value, step| match step.split_once(':')? {
        ("f", name) => value.get_mut(name),
        (_, key) => {
            let list = value.as_array_mut()?;
            let place = place(list, key)?;
            list.get_mut(place)
        }
    });
    let is_key = |name: &str| parents.last().is_some_and(|above| above.starts_with(&format!("k:{{\"{name}\"")));
    match (pointer, element.and_then(|element| element.strip_prefix("k:")), last.strip_prefix("f:")) {
        (Some(Value::Array(list)), Some(key), _) => drop(place(list, key).map(|place| list.remove(place))),
        (Some(Value::Object(map)), None, Some(name)) if !is_key(name) => drop(map.remove(name)),
        _ => {}
    }
}

fn nested(paths: &BTreeSet<Path>) -> Value {
    let mut root = json!({});
    for path in paths {
        let mut place = &mut root;
        for step in path {
            if place.get(step).is_none() {
                place[step.as_str()] = json!({});
            }
            place = &mut place[step.as_str()];
        }
    }
    root
}

fn flat(value: &Value, path: &Path, found: &mut BTreeSet<Path>) {
    match value.as_object().filter(|map| !map.is_empty()) {
        Some(map) => {
            map.iter().for_each(|(key, value)| flat(value, &[path.clone(), vec![key.clone()]].concat(), found));
        }
        None => drop(found.insert(path.clone())),
    }
}

/// What one manager has set, and how.
struct Entry {
    manager: String,
    operation: &'static str,
    version: String,
    time: String,
    paths: BTreeSet<Path>,
}

fn entries(object: &Value) -> Vec<Entry> {
    let listed = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entry = |entry: Value| {
        let mut paths = BTreeSet::new();
        flat(&entry["fieldsV1"], &Vec::new(), &mut paths);
        let operation = if entry["operation"] == "Apply" { "Apply" } else { "Update" };
        let (manager, version, time) = (text(&entry["manager"]), text(&entry["apiVersion"]), text(&entry["time"]));
        Entry { manager, operation, version, time, paths }
    };
    listed.into_iter().map(entry).collect()
}

fn keep(object: &mut Value, entries: &[Entry]) {
    let rows = entries.iter().filter(|entry| !entry.paths.is_empty()).map(|entry| {
        json!({
            "manager": entry.manager, "operation": entry.operation, "apiVersion": entry.version, "time": entry.time,
            "fieldsType": "FieldsV1", "fieldsV1": nested(&entry.paths),
        })
    });
    let rows: Vec<Value> = rows.collect();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        match rows.is_empty() {
            true => drop(metadata.remove("managedFields")),
            false => drop(metadata.insert("managedFields".to_owned(), Value::Array(rows))),
        }
    }
}

/// Notes that a manager has set what differs.
pub(super) fn updated(before: Option<&Value>, after: &mut Value, manager: &str, time: &str) {
    let mut all = entries(before.unwrap_or(&Value::Null));
    let now = leaves(after);
    let set: BTreeSet<Path> =
        now.iter().filter(|path| before.is_none_or(|before| at(before, path) != at(after, path))).cloned().collect();
    for entry in &mut all {
        entry.paths.retain(|path| now.contains(path) && !set.contains(path));
    }
    let version = after["apiVersion"].as_str().unwrap_or_default().to_owned();
    match all.iter_mut().find(|entry| entry.manager == manager && entry.operation == "Update") {
        Some(entry) => {
            entry.paths.extend(set);
            time.clone_into(&mut entry.time);
        }
        None => all.push(Entry {
            manager: manager.to_owned(),
            operation: "Update",
            version,
            time: time.to_owned(),
            paths: set,
        }),
    }
    keep(after, &all);
}

/// A field that another manager has set to something else.
pub(super) struct Conflict {
    /// Who has set it.
    pub(super) manager: String,
    /// With which version of the kind.
    pub(super) version: String,
    /// `.data.key`
    pub(super) field: String,
}

fn written(path: &Path) -> String {
    let step = |step: &String| match step.split_once(':') {
        Some(("f", name)) => format!(".{name}"),
        Some((_, key)) => {
            let key: Map<String, Value> = serde_json::from_str(key).unwrap_or_default();
            let pairs: Vec<String> = key.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("[{}]", pairs.join(","))
        }
        None => String::new(),
    };
    path.iter().map(step).collect()
}

/// Applies a configuration: what it names becomes so and is the manager's, what it no longer names goes.
pub(super) fn apply(
    before: Option<&Value>,
    wanted: &Value,
    manager: &str,
    force: bool,
    time: &str,
) -> Result<Value, Vec<Conflict>> {
    let mut all = entries(before.unwrap_or(&Value::Null));
    let set = leaves(wanted);
    let mut object = before.cloned().unwrap_or_else(|| json!({}));
    let own = |entry: &Entry| entry.manager == manager && entry.operation == "Apply";
    let mut conflicts = Vec::new();
    for entry in all.iter().filter(|entry| !own(entry)) {
        let disputed = entry.paths.intersection(&set).filter(|path| at(&object, path) != at(wanted, path));
        conflicts.extend(disputed.map(|path| Conflict {
            manager: entry.manager.clone(),
            version: entry.version.clone(),
            field: written(path),
        }));
    }
    if !force && !conflicts.is_empty() {
        return Err(conflicts);
    }
    let mine: BTreeSet<Path> = all.iter().filter(|entry| own(entry)).flat_map(|entry| entry.paths.clone()).collect();
    let others: BTreeSet<&Path> = all.iter().filter(|entry| !own(entry)).flat_map(|entry| &entry.paths).collect();
    for path in mine.iter().filter(|path| !set.contains(*path) && !others.contains(path)) {
        // An element of which others have set something stays.
        let shared = path.last().is_some_and(|last| last == ".")
            && others.iter().any(|other| other.starts_with(&path[..path.len() - 1]));
        if !shared {
            take(&mut object, path);
        }
    }
    for entry in all.iter_mut().filter(|entry| !own(entry)) {
        entry.paths.retain(|path| !set.contains(path) || at(&object, path) == at(wanted, path));
    }
    match is_keyed(wanted) {
        true => patch::strategic(&mut object, wanted),
        false => patch::merge(&mut object, wanted),
    }
    all.retain(|entry| !own(entry));
    let version = wanted["apiVersion"].as_str().unwrap_or_default().to_owned();
    all.push(Entry { manager: manager.to_owned(), operation: "Apply", version, time: time.to_owned(), paths: set });
    keep(&mut object, &all);
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(data: &Value) -> Value {
        json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "c"}, "data": data})
    }

    fn applied(before: Option<&Value>, data: &Value, manager: &str, force: bool) -> Result<Value, Vec<String>> {
        let fields = |conflicts: Vec<Conflict>| conflicts.into_iter().map(|conflict| conflict.field).collect();
        apply(before, &config(data), manager, force, "t").map_err(fields)
    }

    #[test]
    fn what_a_manager_no_longer_names_goes_unless_another_one_wants_it() {
        let one = applied(None, &json!({"a": "1", "b": "1"}), "x", false).expect("nobody else is there");
        let two = applied(Some(&one), &json!({"b": "1"}), "y", false).expect("they agree");
        let three = applied(Some(&two), &json!({}), "x", false).expect("nothing is set");
        assert_eq!(three["data"], json!({"b": "1"}));
    }

    #[test]
    fn who_sets_what_another_one_has_set_otherwise_must_force_it_and_then_owns_it() {
        let one = applied(None, &json!({"a": "1"}), "x", false).expect("nobody else is there");
        assert_eq!(applied(Some(&one), &json!({"a": "2"}), "y", false), Err(vec![".data.a".to_owned()]));
        let two = applied(Some(&one), &json!({"a": "2"}), "y", true).expect("it is forced");
        assert_eq!(two["data"]["a"], "2");
        assert_eq!(applied(Some(&two), &json!({"a": "1"}), "x", false), Err(vec![".data.a".to_owned()]));
    }

    #[test]
    fn elements_of_lists_go_with_all_that_is_in_them_unless_others_have_set_something_there() {
        let pod = |containers: &Value| {
            let metadata = json!({"name": "p"});
            json!({"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": {"containers": containers}})
        };
        let names = |object: &Value| -> Vec<Value> {
            let containers = object["spec"]["containers"].as_array().cloned().unwrap_or_default();
            containers.iter().map(|container| container["name"].clone()).collect()
        };
        let apply = |before: Option<&Value>, containers: &Value| {
            apply(before, &pod(containers), "x", false, "t").map_err(|_| ()).expect("nobody disputes it")
        };
        let mut one = apply(None, &json!([{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]));
        one["spec"]["containers"][1]["resources"] = json!({});
        let two = apply(Some(&one), &json!([{"name": "a", "image": "1"}]));
        assert_eq!(names(&two), ["a"]);
        let mut changed = one.clone();
        changed["spec"]["containers"][1]["tty"] = json!(true);
        updated(Some(&one), &mut changed, "y", "t");
        let three = apply(Some(&changed), &json!([{"name": "a", "image": "1"}]));
        assert_eq!(names(&three), ["a", "b"]);
        assert_eq!(three["spec"]["containers"][1]["image"], Value::Null);
    }

    #[test]
    fn lists_of_kinds_that_users_define_are_applied_as_a_whole() {
        let widget =
            |ports: &Value| json!({"kind": "Widget", "apiVersion": "example.com/v1", "spec": {"ports": ports}});
        let apply = |before: Option<&Value>, ports: &Value| {
            apply(before, &widget(ports), "x", false, "t").map_err(|_| ()).expect("nobody disputes it")
        };
        let one = apply(None, &json!([{"port": 1}, {"port": 2}]));
        let two = apply(Some(&one), &json!([{"port": 2}]));
        assert_eq!(two["spec"]["ports"], json!([{"port": 2}]));
    }

    #[test]
    fn an_update_takes_over_what_it_changes() {
        let one = applied(None, &json!({"a": "1", "b": "1"}), "x", false).expect("nobody else is there");
        let mut two = one.clone();
        two["data"]["a"] = json!("2");
        updated(Some(&one), &mut two, "edit", "t");
        assert_eq!(applied(Some(&two), &json!({"a": "1", "b": "1"}), "x", false), Err(vec![".data.a".to_owned()]));
        assert!(applied(Some(&two), &json!({"a": "2", "b": "1"}), "x", false).is_ok());
    }
}
