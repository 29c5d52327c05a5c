//! What a console has shown so far, and whether that is enough.

use std::{net::IpAddr, time::Duration};

use talos_client::Fingerprint;
use tokio::time::Instant;

use super::lines::{Lines, Said, said};
use crate::addresses::in_order;

/// For how long nothing of this may have changed before it counts. Talos issues another certificate when an address comes,
/// when it gets its name, and when its clock is set, all within its first seconds.
const SETTLES: Duration = Duration::from_secs(5);
/// After how long a console that shows nothing is said to be held by somebody else.
pub(crate) const SILENCE: Duration = Duration::from_secs(5);
/// The most that is read of one console, in bytes. A boot prints less than one hundred thousand.
const MOST: usize = 16 << 20;
/// The most addresses and certificates that are kept.
const KEPT: usize = 8;
/// What the terminal itself says before the VM says anything.
const BANNER: &[u8] = b"starting serial terminal on interface";

/// What a console has shown.
#[derive(Debug)]
pub(crate) struct Transcript {
    lines: Lines,
    bytes: usize,
    /// Whether the VM said anything.
    heard: bool,
    addresses: Vec<IpAddr>,
    /// Those that its network cards got.
    assigned: Vec<IpAddr>,
    /// The oldest first.
    certificates: Vec<Fingerprint>,
    is_configured: bool,
    changed: Instant,
    refusal: Option<Refused>,
}

/// Why the terminal shows no console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The VM is off.
    NotRunning,
    /// The VM has no such port.
    NoPort,
}

/// Too much was said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Flood;

impl Transcript {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            lines: Lines::default(),
            bytes: 0,
            heard: false,
            addresses: Vec::new(),
            assigned: Vec::new(),
            certificates: Vec::new(),
            is_configured: false,
            changed: now,
            refusal: None,
        }
    }

    /// A terminal begins, maybe not the first one: what was seen stays, but no line is continued.
    pub(crate) fn begin(&mut self) {
        self.lines = Lines::default();
        self.refusal = None;
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// This is more than any machine says.
    pub(crate) fn feed(&mut self, bytes: &[u8], now: Instant) -> Result<(), Flood> {
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.bytes > MOST {
            return Err(Flood);
        }
        let mut lines = std::mem::take(&mut self.lines);
        lines.feed(bytes, |line| self.take(line, now));
        let begun = lines.begun();
        self.heard |= !begun.is_empty() && !is_of_terminal(begun);
        self.lines = lines;
        Ok(())
    }

    fn take(&mut self, line: &str, now: Instant) {
        if !self.heard {
            self.refusal = self.refusal.or_else(|| refusal(line));
            if self.refusal.is_some() || line.trim().is_empty() || is_of_terminal(line.as_bytes()) {
                return;
            }
        }
        self.heard = true;
        match said(line) {
            Some(Said::Addresses) => {
                self.addresses.clear();
                self.changed = now;
            }
            Some(Said::Address(address)) if self.addresses.len() < KEPT && !self.addresses.contains(&address) => {
                self.addresses.push(address);
                self.changed = now;
            }
            Some(Said::Certificate(fingerprint)) => {
                self.certificates.retain(|known| *known != fingerprint);
                if self.certificates.len() == KEPT {
                    self.certificates.remove(0);
                }
                self.certificates.push(fingerprint);
                self.changed = now;
            }
            Some(Said::Assigned(address)) if self.assigned.len() < KEPT && !self.assigned.contains(&address) => {
                self.assigned.push(address);
                self.changed = now;
            }
            Some(Said::Configured) => self.is_configured = true,
            Some(Said::Address(_) | Said::Assigned(_)) | None => {}
        }
    }

    /// The addresses, IPv4 first. A machine that has its config doesn't say how it is reached: then those of its cards.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let told = in_order(self.addresses.clone());
        if told.is_empty() && self.is_configured { in_order(self.assigned.clone()) } else { told }
    }

    /// Every certificate that the machine has shown since it was switched on, the newest last.
    pub(crate) fn fingerprints(&self) -> Vec<String> {
        self.certificates.iter().map(ToString::to_string).collect()
    }

    /// Whether the machine said how it is reached, and stayed with it for a while.
    pub(crate) fn is_settled(&self, now: Instant) -> bool {
        let is_complete = !self.addresses().is_empty() && (!self.certificates.is_empty() || self.is_configured);
        is_complete && now.saturating_duration_since(self.changed) >= SETTLES
    }

    /// Whether the machine has its config, and so won't come to maintenance mode.
    pub(crate) fn is_configured(&self) -> bool {
        self.is_configured
    }

    /// Whether the VM said anything.
    pub(crate) fn is_heard(&self) -> bool {
        self.heard
    }

    /// Why the terminal shows nothing.
    pub(crate) fn refusal(&self) -> Option<Refused> {
        self.refusal
    }
}

/// Whether this is, or begins, what the terminal says before the VM does.
fn is_of_terminal(line: &[u8]) -> bool {
    line.starts_with(BANNER) || BANNER.starts_with(line)
}

/// What the terminal says instead of what the VM would say. It is believed only before the VM has said anything.
fn refusal(line: &str) -> Option<Refused> {
    let is_off = line.strip_prefix("VM ").and_then(|rest| rest.strip_suffix(" not running"));
    if is_off.is_some_and(|vmid| vmid.parse::<u32>().is_ok()) {
        return Some(Refused::NotRunning);
    }
    let no_port = ["unable to find a serial interface", "serial interface 'serial0' is not configured"];
    no_port.contains(&line).then_some(Refused::NoPort)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "pnduMqbUZ/sQyDW1o4kP6c1u1PoB2gRQu8KEV38guAM=";
    const SECOND: &str = "AAAAMqbUZ/sQyDW1o4kP6c1u1PoB2gRQu8KEV38guAM=";

    fn line(text: &str, more: &str) -> String {
        let by =
            "\"component\": \"controller-runtime\", \"controller\": \"runtime.MaintenanceServiceInformController\"";
        format!("[    9.855517] [talos] {text} {{{by}{more}}}\r\n")
    }

    fn reachable_at(addresses: &[&str]) -> String {
        let lines = addresses.iter().map(|address| line(&format!("\t{address}"), ""));
        lines.fold(line("this machine is reachable at:", ""), |text, line| text + &line)
    }

    fn issued(fingerprint: &str) -> String {
        line("server certificate issued", &format!(", \"fingerprint\": \"{fingerprint}\""))
    }

    fn after(seconds: u64, begin: Instant) -> Instant {
        begin + Duration::from_secs(seconds)
    }

    #[test]
    fn it_counts_once_nothing_has_changed_for_a_while_and_every_certificate_is_kept() {
        let now = Instant::now();
        let mut transcript = Transcript::new(now);
        transcript.feed(reachable_at(&["10.0.0.5"]).as_bytes(), now).unwrap();
        assert!(!transcript.is_settled(after(60, now)), "no certificate yet");
        transcript.feed(issued(FIRST).as_bytes(), after(60, now)).unwrap();
        assert!(!transcript.is_settled(after(64, now)) && transcript.is_settled(after(65, now)));

        transcript.feed(issued(SECOND).as_bytes(), after(66, now)).unwrap();
        assert!(!transcript.is_settled(after(70, now)) && transcript.is_settled(after(71, now)));
        assert_eq!(transcript.fingerprints(), [FIRST, SECOND]);
        assert!(!transcript.is_configured());
    }

    #[test]
    fn the_last_list_of_addresses_counts_and_only_what_others_reach() {
        let now = Instant::now();
        let mut transcript = Transcript::new(now);
        let text = reachable_at(&["169.254.1.1", "10.0.0.5"]) + &reachable_at(&["fe80::1", "fd00::6", "10.0.0.6"]);
        transcript.feed(text.as_bytes(), now).unwrap();
        assert_eq!(transcript.addresses(), ["10.0.0.6", "fd00::6"]);
        let many: Vec<String> = (1..250).map(|number| format!("10.1.0.{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        transcript.feed(reachable_at(&many).as_bytes(), now).unwrap();
        assert_eq!(transcript.addresses().len(), KEPT);
    }

    #[test]
    fn a_machine_with_a_config_is_found_by_what_its_cards_got_and_one_without_never() {
        let now = Instant::now();
        let by = |name: &str| format!("\"component\": \"controller-runtime\", \"controller\": \"{name}\"");
        let card = by("network.AddressSpecController");
        let card = format!(
            "[    5.1] [talos] assigned address {{{card}, \"address\": \"10.0.0.7/24\", \"link\": \"eth0\"}}\r\n"
        );
        let config = by("config.AcquireController");
        let config = format!(
            "[    6.1] [talos] machine config loaded successfully {{{config}, \"sources\": [\"platform\"]}}\r\n"
        );
        let mut transcript = Transcript::new(now);
        transcript.feed(card.as_bytes(), now).unwrap();
        assert!(transcript.addresses().is_empty() && !transcript.is_settled(after(60, now)));
        transcript.feed(config.as_bytes(), now).unwrap();
        assert_eq!(transcript.addresses(), ["10.0.0.7"]);
        assert!(!transcript.is_settled(after(4, now)) && transcript.is_settled(after(5, now)));
    }

    #[test]
    fn the_words_of_the_terminal_are_not_those_of_the_vm() {
        let now = Instant::now();
        let mut silent = Transcript::new(now);
        for piece in ["starting ser", "ial terminal on interface serial0", "\r\n", "\r\n"] {
            silent.feed(piece.as_bytes(), now).unwrap();
            assert!(!silent.is_heard(), "{piece:?}");
        }
        silent.feed(b"\x1b[2J", now).unwrap();
        assert!(silent.is_heard());

        let mut off = Transcript::new(now);
        off.feed(b"VM 100 not running\r\n", now).unwrap();
        assert_eq!((off.refusal(), off.is_heard()), (Some(Refused::NotRunning), false));
        off.begin();
        off.feed(b"serial interface 'serial0' is not configured\r\n", now).unwrap();
        assert_eq!(off.refusal(), Some(Refused::NoPort));
    }

    #[test]
    fn a_vm_can_not_say_that_it_is_off() {
        let now = Instant::now();
        let mut transcript = Transcript::new(now);
        transcript.feed(b"[    0.000000] Linux\r\nVM 100 not running\r\n", now).unwrap();
        assert_eq!(transcript.refusal(), None);
    }

    #[test]
    fn what_never_ends_is_ended() {
        let now = Instant::now();
        let mut transcript = Transcript::new(now);
        let piece = [b'x'; 1 << 20];
        let fed = (0..20).map(|_| transcript.feed(&piece, now)).take_while(Result::is_ok).count();
        assert_eq!(fed, 16);
    }

    #[test]
    fn a_hostile_console_fills_no_list() {
        let now = Instant::now();
        let mut transcript = Transcript::new(now);
        for letter in b'A'..=b'Z' {
            let made = format!("{}{}", char::from(letter), &FIRST[1..]);
            transcript.feed(issued(&made).as_bytes(), now).unwrap();
        }
        let kept = transcript.fingerprints();
        assert_eq!((kept.len(), kept[KEPT - 1].starts_with('Z')), (KEPT, true), "the newest are kept");
    }
}
