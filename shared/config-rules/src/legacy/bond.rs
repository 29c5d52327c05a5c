//! Bonds of the legacy document: options that exist, and those that go together.

use crate::lookup::Lookup;
use crate::report::Report;

/// Option, its values (an empty one means the first), and the message for others.
const WORDS: &[(&str, &[&str], &str)] = &[
    (
        "mode",
        &["balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"],
        "invalid bond type",
    ),
    ("xmitHashPolicy", &["layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4"], "invalid xmit hash policy"),
    ("lacpRate", &["slow", "fast"], "invalid lacp rate"),
    (
        "arpValidate",
        &["none", "active", "backup", "all", "filter", "filter-active", "filter-backup"],
        "invalid arp_validate mode",
    ),
    ("arpAllTargets", &["any", "all"], "invalid arp_all_targets mode"),
    ("primaryReselect", &["always", "better", "failure"], "invalid primary_reselect mode"),
    ("failOverMac", &["none", "active", "follow"], "invalid fail_over_mac value"),
    ("adSelect", &["stable", "bandwidth", "count"], "invalid ad_select mode"),
];

pub(crate) fn options(bond: Lookup<'_>, report: &mut Report) {
    if !bond.is_set() {
        return;
    }
    for (key, words, what) in WORDS {
        let word = bond.at(key).text();
        if !word.is_empty() && !words.contains(&word) {
            report.error(format!("{what} {word}"));
        }
    }
    delays(bond, report);
    for key in ["arpIPTarget", "adActorSystem"].into_iter().filter(|key| !bond.at(key).is_zero()) {
        report.error(format!("bond.{key} is not supported"));
    }
    modes(bond, report);
}

fn delays(bond: Lookup<'_>, report: &mut Report) {
    let miimon = bond.at("miimon").number();
    for (key, name) in [("updelay", "upDelay"), ("downdelay", "downDelay")] {
        match (miimon, bond.at(key).number()) {
            (_, 0) => {}
            (0, _) => report.error(format!("bond.{name} can't be set if miiMon is zero")),
            (miimon, delay) if delay % miimon != 0 => {
                report.error(format!("bond.{name} should be a multiple of miiMon"));
            }
            _ => {}
        }
    }
}

/// Options that only some modes support.
fn modes(bond: Lookup<'_>, report: &mut Report) {
    let mode = Some(bond.at("mode").text()).filter(|mode| !mode.is_empty()).unwrap_or("balance-rr");
    let (lacp, adaptive) = (mode == "802.3ad", matches!(mode, "balance-tlb" | "balance-alb"));
    let set = |key: &str| !bond.at(key).is_zero();
    for (name, refused) in [
        ("arpValidate", set("arpValidate") && (lacp || adaptive)),
        ("primary", set("primary") && !(mode == "active-backup" || adaptive)),
        ("arpInterval", set("arpInterval") && (lacp || adaptive)),
        ("packetsPerSlave", bond.at("packetsPerSlave").number() > 1 && mode != "balance-rr"),
        ("tlbDynamicTLB", set("tlbDynamicLb") && !adaptive),
    ] {
        if refused {
            report.error(format!("bond.{name} is not available in {mode} mode"));
        }
    }
    for key in ["lacpRate", "adActorSysPrio", "adUserPortKey"].into_iter().filter(|key| set(key) && !lacp) {
        report.error(format!("bond.{key} is only available in 802.3ad mode"));
    }
}
