//! Options of the firewall, of the whole cluster and of each VM; nothing is filtered.

use serde_json::{Map, Value};
use sha1::{Digest, Sha1};

use super::ha::MODIFIED;
use super::option_formats;
use super::reply::{Refusal, Reply};
use super::routes::{AUDIT_VM, Needs, Route, Takes, change, get};
use super::schema::{Kind, Param, Properties};
use super::state::{Call, Config, State};

const LEVELS: Kind = Kind::OneOf(&["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", "nolog"]);
const POLICY: Kind = Kind::OneOf(&["ACCEPT", "REJECT", "DROP"]);
const DIGEST: Param = Param::optional("digest", Kind::Text(Some(64)));
const DELETE: Param = Param::optional("delete", Kind::Each(option_formats::config_id));
const RATE: Properties = Properties {
    default: Some("enable"),
    keys: &[
        ("enable", Kind::Boolean, true),
        ("burst", Kind::Integer(Some(0), None), false),
        ("rate", Kind::Pattern(option_formats::log_rate), false),
    ],
    ..Properties::NONE
};

/// What may be set for the cluster.
const OF_CLUSTER: &[Param] = &[
    DELETE,
    DIGEST,
    Param::optional("ebtables", Kind::Boolean),
    Param::optional("enable", Kind::Integer(Some(0), None)),
    Param::optional("log_ratelimit", Kind::Properties(&RATE)),
    Param::optional("policy_forward", Kind::OneOf(&["ACCEPT", "DROP"])),
    Param::optional("policy_in", POLICY),
    Param::optional("policy_out", POLICY),
];

/// What may be set for a VM.
const OF_VM: &[Param] = &[
    DELETE,
    DIGEST,
    Param::optional("dhcp", Kind::Boolean),
    Param::optional("enable", Kind::Boolean),
    Param::optional("ipfilter", Kind::Boolean),
    Param::optional("log_level_in", LEVELS),
    Param::optional("log_level_out", LEVELS),
    Param::optional("macfilter", Kind::Boolean),
    Param::optional("ndp", Kind::Boolean),
    Param::optional("policy_in", POLICY),
    Param::optional("policy_out", POLICY),
    Param::optional("radv", Kind::Boolean),
];

/// All calls about them.
pub(crate) const ROUTES: &[Route] = &[
    get("/cluster/firewall/options", Needs::Any("/", &["Sys.Audit"]), &[], read),
    change("PUT", "/cluster/firewall/options", Needs::Any("/", &["Sys.Modify"]), Takes::Only(OF_CLUSTER), set),
    get("/nodes/{node}/qemu/{vmid}/firewall/options", AUDIT_VM, &[], read),
    change(
        "PUT",
        "/nodes/{node}/qemu/{vmid}/firewall/options",
        Needs::Any("/vms/{vmid}", &["VM.Config.Network"]),
        Takes::Only(OF_VM),
        set,
    ),
];

/// The options that a call is about; a VM that is not there has a file of its own all the same, and an empty one.
fn options<'a>(state: &'a mut State, call: &Call<'_>) -> &'a mut Config {
    match call.path.contains_key("vmid") {
        true => state.firewalls.entry(call.vmid()).or_default(),
        false => &mut state.firewall,
    }
}

/// The names of the options that a call may set.
fn known(call: &Call<'_>) -> impl Iterator<Item = &'static str> {
    let params = if call.path.contains_key("vmid") { OF_VM } else { OF_CLUSTER };
    params.iter().map(|param| param.name).filter(|name| !matches!(*name, "delete" | "digest"))
}

/// That of an empty file where nothing is set.
fn digest(options: &Config) -> String {
    let lines: String = options.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    lab_core::disk_image::hex(&Sha1::digest(lines))
}

fn read(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let options = options(state, call);
    let typed = |name: &str, value: &str| match value.parse::<u64>() {
        Ok(number) if name != "log_ratelimit" => number.into(),
        _ => value.into(),
    };
    let mut data: Map<String, Value> = options.iter().map(|(name, value)| (name.clone(), typed(name, value))).collect();
    data.insert("digest".to_owned(), digest(options).into());
    Ok(Value::Object(data).into())
}

fn set(state: &mut State, call: &Call<'_>) -> Result<Reply, Refusal> {
    let options = options(state, call);
    if call.param("digest").is_some_and(|known| known != digest(options)) {
        return Err(Refusal::failed(MODIFIED));
    }
    for name in super::form::listed(call.param("delete").unwrap_or_default()) {
        if !known(call).any(|option| option == name) {
            return Err(Refusal::parameter("delete", format!("no such option '{name}'")));
        }
        options.remove(name);
    }
    let told = call.params.iter().filter(|(name, _)| !matches!(name.as_str(), "delete" | "digest"));
    options.extend(told.map(|(name, value)| (name.clone(), value.clone())));
    Ok(Value::Null.into())
}
