//! The system itself: kernel, files, logs, watchdog, extensions.

use super::{name as name_of, required};
use crate::cel::Environment;
use crate::validate::words::{expression, nanoseconds, url};
use crate::validate::{Report, View};

pub(super) fn name(fields: View<'_>, report: &mut Report) {
    required(fields, "name", "name is required", report);
}

pub(super) fn environment(fields: View<'_>, report: &mut Report) {
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

pub(super) fn etc_file(fields: View<'_>, report: &mut Report) {
    let name = name_of(fields);
    let top = name.split('/').next().unwrap_or_default();
    if name.is_empty() {
        report.error("user etc file name cannot be empty");
    } else if name.starts_with(['.', '/']) || name.split('/').any(|part| part == "..") {
        report.error(format!("user etc file {name:?} must be a local path"));
    } else if MANAGED.contains(&name) || (MANAGED[7..].contains(&top)) {
        report.error(format!("user etc file {name:?} is managed by Talos"));
    }
}

pub(super) fn event_sink(fields: View<'_>, report: &mut Report) {
    let endpoint = fields.at("endpoint").text();
    if !endpoint.contains(':') {
        report.error(format!("event sink endpoint: address {endpoint}: missing port in address"));
    }
}

pub(super) fn kmsg_log(fields: View<'_>, report: &mut Report) {
    name(fields, report);
    let text = fields.at("url").text();
    let parts = url(text);
    if text.is_empty() {
        report.error("url is required");
    } else if !matches!(parts.scheme, "tcp" | "udp") {
        report.error("url scheme must be tcp:// or udp://");
    } else if !matches!(parts.path, "" | "/") {
        report.error("url path must be empty");
    } else if parts.port.is_empty() {
        report.error("url port is required");
    }
}

pub(super) fn siderolink(fields: View<'_>, report: &mut Report) {
    let text = fields.at("apiUrl").text();
    let parts = url(text);
    if text.is_empty() {
        report.error("apiUrl is required");
    } else if !matches!(parts.scheme, "https" | "grpc") {
        report.error("apiUrl scheme must be https:// or grpc://");
    } else if !matches!(parts.path, "" | "/") {
        report.error("apiUrl path must be empty");
    }
}

pub(super) fn oom(fields: View<'_>, report: &mut Report) {
    expression(fields.at("triggerExpression"), Environment::Shortage, "OOM trigger expression is invalid", report);
    expression(
        fields.at("cgroupRankingExpression"),
        Environment::Ranking,
        "OOM cgroup scoring expression is invalid",
        report,
    );
    if nanoseconds(fields.at("sampleInterval")) < 0 {
        report.error("OOM sample interval must be longer than 0");
    }
}

fn no_empty_key(what: &str, fields: View<'_>, report: &mut Report) {
    if fields.at("params").pairs().iter().any(|(key, _)| key.is_empty()) {
        report.error(format!("{what} key cannot be empty"));
    }
}

pub(super) fn sysctl(fields: View<'_>, report: &mut Report) {
    no_empty_key("sysctl", fields, report);
}

pub(super) fn sysfs(fields: View<'_>, report: &mut Report) {
    no_empty_key("sysfs", fields, report);
}

/// Ten seconds, in nanoseconds.
const TEN_SECONDS: i128 = 10_000_000_000;

pub(super) fn watchdog(fields: View<'_>, report: &mut Report) {
    required(fields, "device", "watchdog device: empty value", report);
    let timeout = nanoseconds(fields.at("timeout"));
    if timeout != 0 && timeout < TEN_SECONDS {
        report.error("watchdog timeout: minimum value is 10s");
    }
}

pub(super) fn extension(fields: View<'_>, report: &mut Report) {
    name(fields, report);
    let name = name_of(fields);
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
