//! High availability: whether Proxmox VE's own manager looks after a node's VM, and where it keeps it.

use std::collections::{BTreeMap, BTreeSet};

use pve_client::{Kind, answer::HaResource, request, request::Parameters};
use record::{Change, Code, Exit, Failure};
use serde_json::Value;
use step::Stop;

use crate::{changes::VmOperation, error::Error, fleet::Fleet, reconcile::Reconcile, values::flag};

mod affinity;
mod rules;

use affinity::{Affinity, Group, Relation};
pub(crate) use rules::Rules;

/// The values of `ha`.
pub(crate) const FORM: &str =
    "true, false, or options as in {max_restart: 2, nodes: \"pve1:2,pve2\", strict: true, separate: etcd}";
/// The values of an option that is a number.
const NUMBER: &str = "a whole number from 0 to 4294967295";
/// The values of an option that is on or off.
const FLAG: &str = "true or false";
/// The values of an option that is text.
const TEXT: &str = "text";
/// The values of `nodes`.
const NODES: &str = "hosts with priorities as in \"pve1:2,pve2\"";
/// The values of `separate` and `together`.
const GROUP: &str = "a name of letters, digits, - and _, which all VMs of the group have";
/// Options of the manager for a VM, and what it does where nothing is said.
const DEFAULTS: [(&str, &str); 5] =
    [("comment", ""), ("failback", "1"), ("group", ""), ("max_relocate", "1"), ("max_restart", "1")];
/// The release from which on there are rules in place of groups of hosts.
const RULES_SINCE: (u32, u32) = (9, 0);

/// What the file says of a VM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Managed {
    /// Nothing: what is so stays.
    #[default]
    Unset,
    /// It isn't managed.
    No,
    /// It is, with these options, and kept there.
    Yes(BTreeMap<String, String>, Affinity),
}

/// What is sent to the manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    Add(Parameters),
    Change(Parameters),
    Remove,
}

impl Managed {
    /// Reads `spec.vm.ha`; what is wrong is told with its key and what is wanted there. The state is none of the options:
    /// pve-vm starts its VMs.
    pub(crate) fn read(value: &Value) -> Result<Self, (String, &'static str)> {
        let whole = || ("ha".to_owned(), FORM);
        if let Some(options) = value.as_object() {
            let (mut plain, mut affinity, mut is_strict) = (BTreeMap::new(), Affinity::default(), None);
            for (key, value) in options {
                let wrong = |wanted| (format!("ha.{key}"), wanted);
                let text = written(value).ok_or_else(|| wrong(TEXT))?;
                match key.as_str() {
                    "nodes" => affinity.hosts = affinity::hosts(&text).ok_or_else(|| wrong(NODES))?,
                    "strict" => is_strict = Some(flag(&text).ok_or_else(|| wrong(FLAG))?),
                    "failback" => {
                        let on = flag(&text).ok_or_else(|| wrong(FLAG))?;
                        plain.insert(key.clone(), u8::from(on).to_string());
                    }
                    "max_relocate" | "max_restart" => {
                        text.parse::<u32>().map_err(|_| wrong(NUMBER))?;
                        plain.insert(key.clone(), text);
                    }
                    "comment" | "group" => drop(plain.insert(key.clone(), text)),
                    _ => {
                        let relation = Relation::ALL.into_iter().find(|relation| relation.key() == key);
                        let relation = relation.ok_or_else(whole)?;
                        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
                        if text.is_empty() || !text.chars().all(is_part) {
                            return Err(wrong(GROUP));
                        }
                        affinity.groups.insert(Group { relation, name: text });
                    }
                }
            }
            affinity.strict = is_strict.unwrap_or_default();
            if is_strict.is_some() && affinity.hosts.is_empty() {
                return Err(("ha.strict".to_owned(), "left out where there are no `nodes`"));
            }
            // Each VM has a rule of hosts of its own, and Proxmox VE keeps no VMs together that are in several of those.
            let together = affinity.groups.iter().any(|group| group.relation == Relation::Together);
            if together && !affinity.hosts.is_empty() {
                return Err(("ha.nodes".to_owned(), "left out beside `together`"));
            }
            if affinity.is_ranked() && !affinity.groups.is_empty() {
                return Err(("ha.nodes".to_owned(), "hosts of one priority beside `separate` or `together`"));
            }
            return Ok(Self::Yes(plain, affinity));
        }
        let text = value.as_bool().map(|on| on.to_string()).or_else(|| value.as_str().map(str::to_owned));
        match text.as_deref().and_then(flag) {
            Some(true) => Ok(Self::Yes(BTreeMap::new(), Affinity::default())),
            Some(false) => Ok(Self::No),
            None => Err(whole()),
        }
    }

    /// The hosts that the VM is kept on; any if there are none.
    pub(crate) fn hosts(&self) -> BTreeSet<&str> {
        match self {
            Self::Yes(_, affinity) => affinity.hosts.keys().map(String::as_str).collect(),
            Self::Unset | Self::No => BTreeSet::new(),
        }
    }

    /// The first key that this release doesn't have.
    fn unknown_to(&self, release: (u32, u32)) -> Option<&'static str> {
        let Self::Yes(options, affinity) = self else { return None };
        if release >= RULES_SINCE {
            return options.contains_key("group").then_some("group");
        }
        let group = affinity.groups.first().map(|group| group.relation.key());
        let failback = options.contains_key("failback").then_some("failback");
        (!affinity.hosts.is_empty()).then_some("nodes").or(group).or(failback)
    }

    /// Whether what it says depends on the release.
    fn depends_on_release(&self) -> bool {
        self.unknown_to((0, 0)).or_else(|| self.unknown_to(RULES_SINCE)).is_some()
    }

    /// The change that makes it so, and the call for it.
    pub(crate) fn difference(&self, found: Option<&HaResource>) -> Option<(Change, Call)> {
        match (self, found) {
            (Self::Unset, _) | (Self::No, None) => None,
            (Self::No, Some(found)) => {
                Some((Change::live("ha").from(told(&options(found))).to("not managed"), Call::Remove))
            }
            (Self::Yes(wanted, _), None) => {
                let all: BTreeMap<&str, String> =
                    wanted.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
                let mut sent = vec![("state".to_owned(), "started".to_owned())];
                sent.extend(wanted.clone());
                Some((Change::live("ha").from("not managed").to(told(&all)), Call::Add(sent)))
            }
            (Self::Yes(wanted, _), Some(found)) => {
                let now = options(found);
                let value = |key: &str, usual: &str| now.get(key).cloned().unwrap_or_else(|| usual.to_owned());
                let mut sent: Parameters = DEFAULTS
                    .iter()
                    .filter(|(key, usual)| wanted.get(*key).is_some_and(|wanted| *wanted != value(key, usual)))
                    .map(|(key, _)| ((*key).to_owned(), wanted[*key].clone()))
                    .collect();
                // Whoever disabled or ignores it wants that: only a VM that is to be off would be switched off again.
                if found.state.as_deref() == Some("stopped") {
                    sent.push(("state".to_owned(), "started".to_owned()));
                }
                let to: BTreeMap<&str, String> =
                    sent.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
                (!sent.is_empty())
                    .then(|| (Change::live("ha").from(told(&now)).to(told(&to)), Call::Change(sent.clone())))
            }
        }
    }
}

/// The options of a VM that is managed.
fn options(found: &HaResource) -> BTreeMap<&'static str, String> {
    let number = |value: Option<u64>| value.map(|value| value.to_string());
    let all = [
        ("comment", found.comment.clone()),
        ("failback", found.failback.map(|on| u8::from(on).to_string())),
        ("group", found.group.clone()),
        ("max_relocate", number(found.max_relocate)),
        ("max_restart", number(found.max_restart)),
    ];
    all.into_iter().filter_map(|(key, value)| value.map(|value| (key, value))).collect()
}

fn told(options: &BTreeMap<&str, String>) -> String {
    let pairs: Vec<String> = options.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if pairs.is_empty() { "managed".to_owned() } else { format!("managed, {}", pairs.join(",")) }
}

impl Fleet {
    /// The VMs that the manager had when it was first asked.
    async fn ha_resources(&self) -> Result<&[HaResource], Failure> {
        let read = || async { self.pve.ask(&request::ha_resources()).await };
        Ok(self.ha.get_or_try_init(read).await?)
    }

    /// What the manager has of a VM.
    async fn ha_resource(&self, vmid: Option<u32>) -> Result<Option<HaResource>, Failure> {
        let Some(vmid) = vmid else { return Ok(None) };
        if self.has_destroyed(vmid).await {
            return Ok(None);
        }
        let resources = self.ha_resources().await?;
        Ok(resources.iter().find(|resource| resource.sid == affinity::sid(vmid)).cloned())
    }
}

impl Reconcile<'_> {
    /// What differs in the management of the VM, and in where it is kept. Whatever would be refused is refused before
    /// anything is done.
    pub(crate) async fn ha_differences(&self, vmid: Option<u32>) -> Result<Vec<Change>, Failure> {
        let managed = &self.machine.managed;
        if *managed == Managed::Unset {
            return Ok(Vec::new());
        }
        self.ha_right("Sys.Audit")?;
        self.check_ha_release().await?;
        let found = self.fleet.ha_resource(vmid).await?;
        let mut changes: Vec<Change> =
            managed.difference(found.as_ref()).map(|(change, _)| change).into_iter().collect();
        changes.extend(self.rule_differences(vmid).await?);
        if !changes.is_empty() {
            self.ha_right("Sys.Console")?;
        }
        Ok(changes)
    }

    fn ha_right(&self, privilege: &str) -> Result<(), Failure> {
        if self.fleet.inventory.rights.holds("/", privilege) {
            return Ok(());
        }
        let token = self.fleet.pve.token();
        let message = format!("the token {token} lacks {privilege} on / (ha)");
        let hint = format!("give it {privilege} on /, or leave `ha` out");
        Err(Failure::new(Exit::NotAllowed, Code::NotAllowed, message).hint(hint))
    }

    /// Refuses what this release of Proxmox VE doesn't have, and a group of hosts that isn't there.
    async fn check_ha_release(&self) -> Result<(), Failure> {
        let (managed, node) = (&self.machine.managed, self.machine.name.clone());
        if !managed.depends_on_release() {
            return Ok(());
        }
        let release = self.fleet.pve_release().await?;
        if let Some(key) = managed.unknown_to(release) {
            return Err(Error::HaRelease { node, key, release }.into());
        }
        let Managed::Yes(options, _) = managed else { return Ok(()) };
        let Some(group) = options.get("group").filter(|group| !group.is_empty()) else { return Ok(()) };
        let groups = self.fleet.pve.ask(&request::ha_groups()).await?;
        match groups.iter().any(|known| known.group == *group) {
            true => Ok(()),
            false => {
                let names: Vec<&str> = groups.iter().map(|known| known.group.as_str()).collect();
                let groups = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                Err(Error::NoHaGroup { node, group: group.clone(), groups }.into())
            }
        }
    }

    /// Tells the manager what the file says of the VM, which runs.
    pub(crate) async fn manage(&self, operation: &VmOperation<'_>) -> Result<Vec<Change>, Stop> {
        let vmid = operation.location.vmid;
        if self.machine.managed == Managed::Unset {
            return Ok(Vec::new());
        }
        let found = self.fleet.ha_resource(Some(vmid)).await?;
        let difference = self.machine.managed.difference(found.as_ref());
        let mut changes = Vec::new();
        if let Some((change, call)) = difference {
            operation.persist(|| self.sent_to_ha(vmid, &call)).await?;
            self.run.say(self.node, &format!("changed VM {vmid}: high availability: {}", words(&change)));
            changes.push(change);
        }
        changes.extend(self.keep_rules(vmid).await?);
        Ok(changes)
    }

    async fn sent_to_ha(&self, vmid: u32, call: &Call) -> Result<(), pve_client::Error> {
        let pve = &self.fleet.pve;
        match call {
            Call::Add(options) => match pve.ask(&request::add_ha(vmid, options.clone())).await {
                // The reply to an earlier try was lost.
                Err(error) if error.kind() == Some(Kind::Exists) => Ok(()),
                sent => sent,
            },
            Call::Change(options) => pve.ask(&request::change_ha(vmid, options.clone())).await,
            Call::Remove => match pve.ask(&request::remove_ha(vmid)).await {
                Err(error) if error.kind() == Some(Kind::NotFound) => Ok(()),
                sent => sent,
            },
        }
    }
}

/// What a change makes of it.
fn words(change: &Change) -> &str {
    change.to.as_ref().and_then(Value::as_str).unwrap_or_default()
}

/// A scalar as Proxmox VE takes it.
fn written(value: &Value) -> Option<String> {
    match value {
        Value::Bool(on) => Some(if *on { "1" } else { "0" }.to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Refuses a value of `ha` that is none.
pub(crate) fn read(node: &str, value: Option<&Value>) -> Result<Managed, Error> {
    let Some(value) = value else { return Ok(Managed::Unset) };
    Managed::read(value).map_err(|(key, wanted)| {
        let option = key.strip_prefix("ha.").and_then(|option| value.get(option)).unwrap_or(value);
        Error::Value { node: node.to_owned(), wanted, found: option.to_string(), key }
    })
}

#[cfg(test)]
mod tests;
