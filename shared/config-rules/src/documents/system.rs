//! The system itself: kernel, files, logs, watchdog, extensions.

use crate::cel::Environment;
use crate::checks::{expression, url};
use crate::checks::{name, required};
use crate::lookup::Lookup;
use crate::report::Report;

pub(crate) fn environment(fields: Lookup<'_>, report: &mut Report) {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    let fits = |key: &str| key.starts_with(first) && key.chars().all(|c| first(c) || c.is_ascii_digit());
    for (key, _) in fields.at("variables").pairs().iter().filter(|(key, _)| !fits(key)) {
        report.error(format!("invalid environment variable name: {key:?}"));
    }
}

/// Files and folders of `/etc` that Talos writes itself.
const MANAGED: [&str; 19] = [
    "resolv.conf",
    "hosts",
    "machine-id",
    "extensions.yaml",
    "localtime",
    "os-release",
    "xattr.conf",
    "apparmor.d",
    "apparmor",
    "ca-certificates",
    "cni",
    "cri",
    "iscsi",
    "kubernetes",
    "lvm",
    "nvme",
    "pki",
    "selinux",
    "ssl",
];

pub(crate) fn etc_file(fields: Lookup<'_>, report: &mut Report) {
    let name = name(fields);
    let top = name.split('/').next().unwrap_or_default();
    if name.is_empty() {
        report.error("user etc file name cannot be empty");
    } else if name.starts_with(['.', '/']) || name.split('/').any(|part| part == "..") {
        report.error(format!("user etc file {name:?} must be a local path"));
    } else if MANAGED.contains(&name) || (MANAGED[7..].contains(&top)) {
        report.error(format!("user etc file {name:?} is managed by Talos"));
    }
}

pub(crate) fn event_sink(fields: Lookup<'_>, report: &mut Report) {
    let endpoint = fields.at("endpoint").text();
    let bare = endpoint.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(endpoint, |(_, port)| port);
    match bare.matches(':').count() {
        _ if endpoint.is_empty() => report.error("event sink endpoint: missing port in address"),
        0 => report.error(format!("event sink endpoint: address {endpoint}: missing port in address")),
        1 => {}
        _ => report.error(format!("event sink endpoint: address {endpoint}: too many colons in address")),
    }
}

pub(crate) fn kmsg_log(fields: Lookup<'_>, report: &mut Report) {
    let text = fields.at("url").text();
    let parts = url(text);
    if text.is_empty() {
        return;
    }
    if !matches!(parts.scheme(), "tcp" | "udp") {
        report.error("url scheme must be tcp:// or udp://");
    } else if parts.has_path() {
        report.error("url path must be empty");
    } else if parts.port().is_empty() {
        report.error("url port is required");
    }
}

pub(crate) fn siderolink(fields: Lookup<'_>, report: &mut Report) {
    let text = fields.at("apiUrl").text();
    let parts = url(text);
    if text.is_empty() {
        return;
    }
    if !matches!(parts.scheme(), "https" | "grpc") {
        report.error("apiUrl scheme must be https:// or grpc://");
    } else if parts.has_path() {
        report.error("apiUrl path must be empty");
    }
}

pub(crate) fn oom(fields: Lookup<'_>, report: &mut Report) {
    expression(fields.at("triggerExpression"), Environment::Shortage, "OOM trigger expression is invalid", report);
    expression(
        fields.at("cgroupRankingExpression"),
        Environment::Ranking,
        "OOM cgroup scoring expression is invalid",
        report,
    );
}

fn no_empty_key(what: &str, fields: Lookup<'_>, report: &mut Report) {
    if fields.at("params").pairs().iter().any(|(key, _)| key.is_empty()) {
        report.error(format!("{what} key cannot be empty"));
    }
}

pub(crate) fn sysctl(fields: Lookup<'_>, report: &mut Report) {
    no_empty_key("sysctl", fields, report);
}

pub(crate) fn sysfs(fields: Lookup<'_>, report: &mut Report) {
    no_empty_key("sysfs", fields, report);
}

pub(crate) fn extension(fields: Lookup<'_>, report: &mut Report) {
    let name = name(fields);
    let files = fields.at("configFiles").items();
    if files.len() == 0 && fields.at("environment").items().len() == 0 {
        report.error(format!("no config files found for extension {name:?}"));
    }
    for file in files {
        for (key, what) in [("content", "content"), ("mountPath", "mount path")] {
            required(file, key, &format!("extension {what} is required for extension {name:?}"), report);
        }
    }
}
