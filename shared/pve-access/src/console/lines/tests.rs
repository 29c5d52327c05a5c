use super::*;

const FINGERPRINT: &str = "pnduMqbUZ/sQyDW1o4kP6c1u1PoB2gRQu8KEV38guAM=";

fn inform(text: &str, more: &str) -> String {
    let by = "\"component\": \"controller-runtime\", \"controller\": \"runtime.MaintenanceServiceInformController\"";
    format!("[    9.855517] [talos] {text} {{{by}{more}}}")
}

/// What a console says, as bytes.
fn all(bytes: &[u8]) -> Vec<Said> {
    let (mut lines, mut found) = (Lines::default(), Vec::new());
    lines.feed(bytes, |line| found.extend(said(line)));
    found
}

#[test]
fn what_a_real_console_showed_is_read() {
    let Some(path) = judges::vectors("talos-real/console-maintenance.txt") else { return };
    let fingerprint = "PYtJ6ZSKqV0cVPkZ8OhJLilOeMVpTxgJ98sbSex/YTM=".parse().unwrap();
    let found = all(&std::fs::read(path).unwrap());
    assert_eq!(
        found,
        [Said::Addresses, Said::Address([10, 5, 0, 11].into()), Said::Certificate(fingerprint)],
        "the commands that it suggests are no address"
    );
}

#[test]
fn a_real_machine_that_has_its_config_says_so() {
    let Some(path) = judges::vectors("talos-real/console-vip-stubkubelet-reboot.txt") else { return };
    let text = std::fs::read_to_string(path).unwrap();
    let again = text.rfind(" start\n").unwrap();
    assert_eq!(all(&text.as_bytes()[again..]), [Said::Configured]);
}

#[test]
fn on_a_serial_port_the_kernels_time_stands_before_and_returns_end_the_line() {
    let text = format!(
        "\u{1b}[2J\u{1b}[01;01H\r\n[    0.000000] Linux version 6.12\r\n{}\r\n{}\r\n{}\r\n{}\r\n",
        inform("this machine is reachable at:", ""),
        inform("\t10.22.27.56", ""),
        inform("\t2001:9e8:17ba:2200:5054:ff:feba:99ef", ""),
        inform("server certificate issued", &format!(", \"fingerprint\": \"{FINGERPRINT}\"")),
    );
    let second = "2001:9e8:17ba:2200:5054:ff:feba:99ef".parse().unwrap();
    let wanted = [
        Said::Addresses,
        Said::Address([10, 22, 27, 56].into()),
        Said::Address(second),
        Said::Certificate(FINGERPRINT.parse().unwrap()),
    ];
    assert_eq!(all(text.as_bytes()), wanted);
    // The same in pieces of one byte.
    let (mut lines, mut found) = (Lines::default(), Vec::new());
    text.as_bytes().chunks(1).for_each(|byte| lines.feed(byte, |line| found.extend(said(line))));
    assert_eq!(found, wanted);
}

#[test]
fn the_controller_of_earlier_releases_is_known() {
    let line = inform("\t10.0.0.5", "").replace("ServiceInform", "Service");
    assert_eq!(said(&line), Some(Said::Address([10, 0, 0, 5].into())));
}

#[test]
fn what_talos_did_not_write_so_counts_for_nothing() {
    let address = inform("\t10.0.0.5", "");
    let issued = inform("server certificate issued", &format!(", \"fingerprint\": \"{FINGERPRINT}\""));
    let within = format!("[    1.0] audit: name=\"{}\"", address.replace('"', "'"));
    for line in [
        within,
        format!("x{address}"),
        address.replace("[talos] ", ""),
        address.replace("[talos]", "[evil]"),
        address.replace("runtime.MaintenanceService", "runtime.Other"),
        address.replace("controller-runtime", "other"),
        address.replace("10.0.0.5", "10.0.0.5/24"),
        address.replace("10.0.0.5", "10.0.0.5 10.0.0.6"),
        address.replace("10.0.0.5", "example.com"),
        format!("{address} more"),
        address.trim_end_matches('}').to_owned(),
        issued.replace(FINGERPRINT, "AA:BB:CC"),
        issued.replace(FINGERPRINT, &FINGERPRINT[..43]),
        issued.replace("issued", "refused"),
        issued.replace("\"fingerprint\"", "\"print\""),
    ] {
        assert_eq!(said(&line), None, "{line}");
    }
}

#[test]
fn a_hostile_console_takes_no_memory_and_hides_nothing_that_follows() {
    let mut lines = Lines::default();
    let mut found = Vec::new();
    for _ in 0..1000 {
        lines.feed(&[b'A'; 4096], |line| found.extend(said(line)));
    }
    assert!(lines.begun().len() <= LONGEST);
    lines.feed(b"\n\xff\xfe\x00\x1b]0;title\x07\n", |line| found.extend(said(line)));
    lines.feed(format!("{}\n", inform("\t10.0.0.5", "")).as_bytes(), |line| found.extend(said(line)));
    assert_eq!(found, [Said::Address([10, 0, 0, 5].into())]);
}

#[test]
fn a_line_that_is_too_long_is_none_even_if_it_begins_well() {
    let long = inform("\t10.0.0.5", &format!(", \"x\": \"{}\"", "A".repeat(LONGEST)));
    assert_eq!(all(format!("{long}\n").as_bytes()), []);
}

#[test]
fn an_address_that_a_card_gets_counts_and_one_that_is_shared_or_internal_does_not() {
    let said_of = |address: &str, link: &str| {
        let by = "\"component\": \"controller-runtime\", \"controller\": \"network.AddressSpecController\"";
        all(format!(
            "[    5.1] [talos] assigned address {{{by}, \"address\": \"{address}\", \"link\": \"{link}\"}}\r\n"
        )
        .as_bytes())
    };
    assert_eq!(said_of("10.0.0.5/24", "eth0"), [Said::Assigned("10.0.0.5".parse().unwrap())]);
    assert_eq!(said_of("fd00::5/64", "enp0s1"), [Said::Assigned("fd00::5".parse().unwrap())]);
    for (address, link) in [
        ("10.0.0.10/32", "eth0"),
        ("fd00::10/128", "eth0"),
        ("169.254.116.108/32", "lo"),
        ("10.244.0.1/24", "cni0"),
        ("10.0.0.5", "eth0"),
    ] {
        assert_eq!(said_of(address, link), [], "{address} {link}");
    }
}

#[test]
fn what_a_real_console_said_of_shared_and_internal_addresses_does_not_count() {
    let Some(path) = judges::vectors("talos-real/console-vip-stubkubelet-reboot.txt") else { return };
    let text = std::fs::read(path).unwrap();
    assert!(String::from_utf8_lossy(&text).contains("assigned address"));
    assert!(!all(&text).iter().any(|said| matches!(said, Said::Assigned(_))), "the VIP and lo only");
}
