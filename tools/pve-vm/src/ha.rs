//! High availability: whether Proxmox VE's own manager looks after a node's VM.

use std::collections::BTreeMap;

use pve_client::{Kind, answer::HaResource, request, request::Parameters};
use record::{Change, Code, Exit, Failure};
use serde_json::Value;
use step::Stop;

use crate::{changes::VmOperation, error::Error, fleet::Fleet, reconcile::Reconcile, values::flag};

/// The values of `ha`.
pub(crate) const FORM: &str = "true, false, or options as in {max_restart: 2, max_relocate: 2}";
/// What the manager does where nothing is said.
const DEFAULTS: [(&str, &str); 5] =
    [("comment", ""), ("failback", "1"), ("group", ""), ("max_relocate", "1"), ("max_restart", "1")];

/// What the file says of a VM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Managed {
    /// Nothing: what is so stays.
    #[default]
    Unset,
    /// It isn't managed.
    No,
    /// It is, with these options.
    Yes(BTreeMap<String, String>),
}

/// What is sent to the manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    Add(Parameters),
    Change(Parameters),
    Remove,
}

impl Managed {
    /// Reads `spec.vm.ha`. The state is none of the options: pve-vm starts its VMs.
    pub(crate) fn read(value: &Value) -> Result<Self, &'static str> {
        if let Some(options) = value.as_object() {
            let option = |(key, value): (&String, &Value)| {
                let is_known = DEFAULTS.iter().any(|(known, _)| known == key);
                let text = match value {
                    Value::Bool(on) => Some(if *on { "1" } else { "0" }.to_owned()),
                    Value::Number(number) => Some(number.to_string()),
                    Value::String(text) => Some(text.clone()),
                    _ => None,
                };
                text.filter(|_| is_known).map(|text| (key.clone(), text)).ok_or(FORM)
            };
            return options.iter().map(option).collect::<Result<_, _>>().map(Self::Yes);
        }
        let text = value.as_bool().map(|on| on.to_string()).or_else(|| value.as_str().map(str::to_owned));
        match text.as_deref().and_then(flag) {
            Some(true) => Ok(Self::Yes(BTreeMap::new())),
            Some(false) => Ok(Self::No),
            None => Err(FORM),
        }
    }

    /// The change that makes it so, and the call for it.
    pub(crate) fn difference(&self, found: Option<&HaResource>) -> Option<(Change, Call)> {
        match (self, found) {
            (Self::Unset, _) | (Self::No, None) => None,
            (Self::No, Some(found)) => {
                Some((Change::live("ha").from(told(&options(found))).to("not managed"), Call::Remove))
            }
            (Self::Yes(wanted), None) => {
                let all: BTreeMap<&str, String> =
                    wanted.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
                let mut sent = vec![("state".to_owned(), "started".to_owned())];
                sent.extend(wanted.clone());
                Some((Change::live("ha").from("not managed").to(told(&all)), Call::Add(sent)))
            }
            (Self::Yes(wanted), Some(found)) => {
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
    /// What the manager has of a VM.
    async fn ha_resource(&self, vmid: Option<u32>) -> Result<Option<HaResource>, Failure> {
        let Some(vmid) = vmid else { return Ok(None) };
        let read = || async { self.pve.ask(&request::ha_resources()).await };
        let resources = self.ha.get_or_try_init(read).await?;
        Ok(resources.iter().find(|resource| resource.sid == format!("vm:{vmid}")).cloned())
    }
}

impl Reconcile<'_> {
    /// What differs in the management of the VM. Whatever the token lacks for it is refused before anything is done.
    pub(crate) async fn ha_difference(&self, vmid: Option<u32>) -> Result<Option<(Change, Call)>, Failure> {
        let managed = &self.machine.managed;
        if *managed == Managed::Unset {
            return Ok(None);
        }
        self.ha_right("Sys.Audit")?;
        let found = self.fleet.ha_resource(vmid).await?;
        let difference = managed.difference(found.as_ref());
        if difference.is_some() {
            self.ha_right("Sys.Console")?;
        }
        Ok(difference)
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

    /// Tells the manager what the file says of the VM, which runs.
    pub(crate) async fn manage(&self, operation: &VmOperation<'_>) -> Result<Option<Change>, Stop> {
        let vmid = operation.location.vmid;
        let Some((change, call)) = self.ha_difference(Some(vmid)).await? else { return Ok(None) };
        let sent = || async {
            match &call {
                Call::Add(options) => match self.fleet.pve.ask(&request::add_ha(vmid, options.clone())).await {
                    // The reply to an earlier try was lost.
                    Err(error) if error.kind() == Some(Kind::Exists) => Ok(()),
                    sent => sent,
                },
                Call::Change(options) => self.fleet.pve.ask(&request::change_ha(vmid, options.clone())).await,
                Call::Remove => match self.fleet.pve.ask(&request::remove_ha(vmid)).await {
                    Err(error) if error.kind() == Some(Kind::NotFound) => Ok(()),
                    sent => sent,
                },
            }
        };
        operation.persist(sent).await?;
        self.run.say(self.node, &format!("changed VM {vmid}: high availability: {}", words(&change)));
        Ok(Some(change))
    }
}

/// What a change makes of it.
fn words(change: &Change) -> &str {
    change.to.as_ref().and_then(Value::as_str).unwrap_or_default()
}

/// Refuses a value of `ha` that is none.
pub(crate) fn read(node: &str, value: Option<&Value>) -> Result<Managed, Error> {
    let Some(value) = value else { return Ok(Managed::Unset) };
    let wrong = |wanted| Error::Value { node: node.to_owned(), key: "ha".into(), wanted, found: value.to_string() };
    Managed::read(value).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(json: Value) -> HaResource {
        serde_json::from_value(json).unwrap()
    }

    fn call(wanted: &Value, found: Option<Value>) -> Option<Call> {
        let found = found.map(self::found);
        Managed::read(wanted).unwrap().difference(found.as_ref()).map(|(_, call)| call)
    }

    fn pairs(pairs: &[(&str, &str)]) -> Parameters {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_vm_is_managed_as_the_file_says_and_what_it_leaves_out_stays() {
        let managed =
            json!({"sid": "vm:100", "state": "started", "max_restart": 1, "max_relocate": "3", "digest": "x"});
        let started = ("state", "started");
        assert_eq!(call(&json!(true), None), Some(Call::Add(pairs(&[started]))));
        assert_eq!(call(&json!({"max_restart": 2}), None), Some(Call::Add(pairs(&[started, ("max_restart", "2")]))));
        assert_eq!(call(&json!(true), Some(managed.clone())), None);
        assert_eq!(
            call(&json!({"max_restart": 1, "failback": true}), Some(managed.clone())),
            None,
            "the defaults hold"
        );
        assert_eq!(
            call(&json!({"max_relocate": 2, "failback": "0"}), Some(managed.clone())),
            Some(Call::Change(pairs(&[("failback", "0"), ("max_relocate", "2")])))
        );
        assert_eq!(call(&json!(false), Some(managed)), Some(Call::Remove));
        assert_eq!(call(&json!(false), None), None);
    }

    #[test]
    fn what_somebody_disabled_stays_disabled_and_what_is_to_be_off_is_to_run() {
        for state in ["disabled", "ignored"] {
            assert_eq!(call(&json!(true), Some(json!({"sid": "vm:100", "state": state}))), None);
        }
        let stopped = call(&json!(true), Some(json!({"sid": "vm:100", "state": "stopped"})));
        assert_eq!(stopped, Some(Call::Change(pairs(&[("state", "started")]))));
    }

    #[test]
    fn a_value_that_the_manager_does_not_know_is_refused() {
        for wrong in [json!("maybe"), json!(1.5), json!({"state": "started"}), json!({"max_restart": []}), json!([])] {
            assert_eq!(Managed::read(&wrong), Err(FORM), "{wrong}");
        }
    }
}
