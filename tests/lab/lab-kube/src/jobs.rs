//! Jobs, whose pods are done as soon as they run, and cron jobs, which never make one by themselves.

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::answer::timestamp;
use super::controllers::{patched_status, text};
use super::deletion::Propagation;
use super::pods;
use super::store::{Key, Store};

fn number(value: &Value, or: usize) -> usize {
    value.as_u64().map_or(or, |number| usize::try_from(number).unwrap_or(or))
}

fn is_done(job: &Value) -> bool {
    let conditions = job["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|c| matches!(c["type"].as_str(), Some("Complete" | "Failed")) && c["status"] == "True")
}

/// Looks at a job: it has the pods that it still needs.
pub(super) fn look(store: &mut Store, key: &Key, at: &str) {
    let Some(mut job) = store.at(key).filter(|job| !pods::leaves(job) && !is_done(job)).cloned() else { return };
    if job["spec"]["selector"].is_null() {
        marked(&mut job);
        store.put("jobs", job, at);
        return;
    }
    let own = pods::controlled(store, "pods", &job);
    let succeeded = own.iter().filter(|pod| pod["status"]["phase"] == "Succeeded").count();
    let active = own.iter().filter(|pod| !pods::is_done(pod) && !pods::leaves(pod)).count();
    let parallel = number(&job["spec"]["parallelism"], 1);
    let goal = number(&job["spec"]["completions"], 1);
    let suspended = job["spec"]["suspend"] == json!(true);
    let room = if suspended { 0 } else { parallel.min(goal.saturating_sub(succeeded)).saturating_sub(active) };
    let room = pods::at_most(own.len().saturating_add(room)).saturating_sub(own.len());
    for _ in 0..room {
        create(store, &job, at);
    }
    let done = succeeded >= goal;
    let mut status =
        json!({"active": active + room, "succeeded": succeeded, "ready": 0, "uncountedTerminatedPods": {}});
    let condition = |kind: &str, yes: &str, reason: &str, message: &str| json!({"type": kind, "status": yes, "lastProbeTime": at, "reason": reason, "message": message});
    if !suspended {
        status["startTime"] = job["status"]["startTime"].as_str().unwrap_or(at).into();
    }
    if suspended {
        status["conditions"] = json!([condition("Suspended", "True", "JobSuspended", "Job suspended")]);
    } else if done {
        let (reason, message) = ("CompletionsReached", "Reached expected number of succeeded pods");
        status["conditions"] = json!([
            condition("SuccessCriteriaMet", "True", reason, message),
            condition("Complete", "True", reason, message),
        ]);
        status["completionTime"] = at.into();
    }
    patched_status(store, key, status, at);
}

/// Marks the pods of a job as its own.
fn marked(job: &mut Value) {
    let (uid, name) = (job["metadata"]["uid"].clone(), job["metadata"]["name"].clone());
    job["spec"]["selector"] = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}});
    let labels = &mut job["spec"]["template"]["metadata"]["labels"];
    for prefix in ["", "batch.kubernetes.io/"] {
        labels[format!("{prefix}controller-uid")] = uid.clone();
        labels[format!("{prefix}job-name")] = name.clone();
    }
}

fn create(store: &mut Store, job: &Value, at: &str) {
    let (namespace, name) = (text(job, "/metadata/namespace"), text(job, "/metadata/name"));
    let owner = pods::controller("Job", "batch/v1", job);
    let mut pod = pods::from_template(&job["spec"]["template"], namespace, "", &owner);
    let mut pod_name = format!("{name}-{}", store.suffix());
    if job["spec"]["completionMode"] == "Indexed" {
        const INDEX: &str = "batch.kubernetes.io/job-completion-index";
        let own = pods::controlled(store, "pods", job);
        let taken = |index: &usize| own.iter().any(|pod| pod["metadata"]["labels"][INDEX] == *index.to_string());
        let index = (0..).find(|index| !taken(index)).unwrap_or(0);
        pod["metadata"]["labels"][INDEX] = index.to_string().into();
        pod["metadata"]["annotations"][INDEX] = index.to_string().into();
        pod_name = format!("{name}-{index}-{}", store.suffix());
    }
    pod["metadata"]["name"] = pod_name.into();
    store.put("pods", pod, at);
}

/// Looks at a cron job: what of it runs, and which of its old jobs go.
pub(super) fn look_at_cron(store: &mut Store, key: &Key, at: &str) {
    let Some(cron) = store.at(key).filter(|cron| !pods::leaves(cron)).cloned() else { return };
    let mut jobs = pods::controlled(store, "jobs", &cron);
    jobs.sort_by_key(|job| text(job, "/metadata/creationTimestamp").to_owned());
    let (done, active): (Vec<&Value>, Vec<&Value>) = jobs.iter().partition(|job| is_done(job));
    let surplus = done.len().saturating_sub(number(&cron["spec"]["successfulJobsHistoryLimit"], 3));
    for job in done.iter().take(surplus) {
        let place = ("jobs".to_owned(), key.1.clone(), text(job, "/metadata/name").to_owned());
        store.delete(&place, Propagation::Background, None, at);
    }
    let mut status = json!({});
    for field in ["lastScheduleTime", "lastSuccessfulTime"] {
        if !cron["status"][field].is_null() {
            status[field] = cron["status"][field].clone();
        }
    }
    if let Some(last) = done.last() {
        status["lastSuccessfulTime"] = last["status"]["completionTime"].clone();
    }
    if !active.is_empty() {
        let reference = |job: &&Value| json!({"kind": "Job", "apiVersion": "batch/v1", "namespace": key.1, "name": job["metadata"]["name"], "uid": job["metadata"]["uid"]});
        status["active"] = active.iter().map(reference).collect();
    }
    patched_status(store, key, status, at);
}

fn time_of(object: &Value, pointer: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text(object, pointer), &Rfc3339).ok()
}

/// Removes the jobs that have been done for long enough.
pub(super) fn pass(store: &mut Store, now: OffsetDateTime) {
    let at = timestamp(now);
    let old: Vec<Key> = store.list("jobs", None).filter(|job| is_old(job, now)).map(place).collect();
    if old.is_empty() {
        return;
    }
    for key in old {
        store.delete(&key, Propagation::Background, None, &at);
    }
    store.reconcile(&at);
}

fn place(job: &Value) -> Key {
    ("jobs".to_owned(), text(job, "/metadata/namespace").to_owned(), text(job, "/metadata/name").to_owned())
}

fn is_old(job: &Value, now: OffsetDateTime) -> bool {
    let kept = job["spec"]["ttlSecondsAfterFinished"].as_i64();
    let since = kept.and_then(|_| time_of(job, "/status/completionTime"));
    since.is_some_and(|since| !pods::leaves(job) && now >= since + Duration::seconds(kept.unwrap_or(0)))
}
