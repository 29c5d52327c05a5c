//! The named formats of Proxmox VE's schema.

/// `name`.
pub(crate) fn dns_name(value: &str) -> Result<(), String> {
    let label = |label: &str| {
        let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        !label.is_empty() && inner && !label.starts_with('-') && !label.ends_with('-')
    };
    match value.split('.').all(label) {
        true => Ok(()),
        false => Err("value does not look like a valid DNS name".to_owned()),
    }
}

/// `vmid`.
pub(crate) fn vmid(value: &str) -> Result<(), String> {
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    match digits && (3..=9).contains(&value.len()) && !value.starts_with('0') {
        true => Ok(()),
        false => Err("value does not look like a valid VM ID".to_owned()),
    }
}

/// `tags`.
pub(crate) fn tags(value: &str) -> Result<(), String> {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_-+.".contains(&byte);
    let valid = |tag: &str| {
        let first = tag.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        first && tag.bytes().all(inner)
    };
    match split_tags(value).all(valid) {
        true => Ok(()),
        false => Err("invalid characters in tag".to_owned()),
    }
}

/// The tags in a list with any of the separators.
pub(crate) fn split_tags(value: &str) -> impl Iterator<Item = &str> {
    value.split([';', ',', ' ']).filter(|tag| !tag.is_empty())
}

/// `cpu`: names built into QEMU that Proxmox VE knows, as far as they matter, and custom ones.
pub(crate) fn cpu_type(value: &str) -> Result<(), String> {
    const KNOWN: &[&str] = &[
        "host",
        "max",
        "kvm64",
        "kvm32",
        "qemu64",
        "qemu32",
        "x86-64-v2",
        "x86-64-v2-AES",
        "x86-64-v3",
        "x86-64-v4",
        "EPYC",
        "EPYC-Rome",
        "EPYC-Milan",
        "EPYC-Genoa",
        "Haswell",
        "Broadwell",
        "Skylake-Client",
        "Skylake-Server",
        "Cascadelake-Server",
        "Icelake-Server",
        "SapphireRapids",
        "GraniteRapids",
        "Nehalem",
        "Westmere",
        "SandyBridge",
        "IvyBridge",
        "Penryn",
        "Conroe",
        "Opteron_G5",
        "core2duo",
        "coreduo",
        "athlon",
        "pentium",
        "486",
        "phenom",
    ];
    match KNOWN.contains(&value) || value.starts_with("custom-") {
        true => Ok(()),
        false => Err(format!("Built-in cputype '{value}' is not defined (missing 'custom-' prefix?)")),
    }
}

/// `flags` of `cpu`.
pub(crate) fn cpu_flags(value: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    value
        .split(';')
        .all(|flag| flag.strip_prefix(['+', '-']).is_some_and(|name| !name.is_empty() && name.bytes().all(inner)))
}

/// `hv-vendor-id` of `cpu`.
pub(crate) fn hyperv_vendor(value: &str) -> bool {
    (1..=12).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Numbers and ranges of numbers with semicolons between them.
pub(crate) fn ranges(value: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    value
        .split(';')
        .all(|part| part.split_once('-').map_or_else(|| number(part), |(from, to)| number(from) && number(to)))
}

fn is_hex(value: &str, length: usize) -> bool {
    value.len() == length && value.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// `host` of `hostpciN`.
pub(crate) fn pci(value: &str) -> bool {
    value.split(';').all(|address| {
        let (device, function) = address.split_once('.').unwrap_or((address, "0"));
        let parts: Vec<&str> = device.split(':').collect();
        let ends = |parts: &[&str]| parts.iter().all(|part| is_hex(part, 2));
        let domain = |domain: &str| domain.len() >= 4 && is_hex(domain, domain.len());
        let placed = match parts.as_slice() {
            [bus, slot] => ends(&[bus, slot]),
            [first, bus, slot] => domain(first) && ends(&[bus, slot]),
            _ => false,
        };
        placed && is_hex(function, 1)
    })
}

/// `vendor-id` and its like of `hostpciN`.
pub(crate) fn pci_id(value: &str) -> bool {
    value.strip_prefix("0x").is_some_and(|digits| is_hex(digits, 4))
}

/// `romfile` of `hostpciN`.
pub(crate) fn rom_file(value: &str) -> bool {
    !value.is_empty() && !value.contains([',', ';'])
}

/// `mdev` of `hostpciN`.
pub(crate) fn mediated(value: &str) -> bool {
    !value.is_empty() && !value.contains(['/', '.', ':'])
}

/// `host` of `usbN`: a vendor and a product, a bus and a port, or `spice`.
pub(crate) fn usb(value: &str) -> bool {
    let id = |text: &str| is_hex(text.strip_prefix("0x").unwrap_or(text), 4);
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let named = value.split_once(':').is_some_and(|(vendor, product)| id(vendor) && id(product));
    let placed = value.split_once('-').is_some_and(|(bus, port)| number(bus) && port.split('.').all(number));
    named || placed || value.eq_ignore_ascii_case("spice")
}

/// `name` of `ivshmem`.
pub(crate) fn shared_memory(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// `wwn` of a drive.
pub(crate) fn wwn(value: &str) -> bool {
    value.strip_prefix("0x").is_some_and(|digits| is_hex(digits, 16))
}

fn is_label(value: &str, most: usize) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_ ".contains(&byte);
    value.len() <= most && value.bytes().all(inner)
}

/// `product` of a drive.
pub(crate) fn product(value: &str) -> bool {
    is_label(value, 16)
}

/// `vendor` of a drive.
pub(crate) fn vendor(value: &str) -> bool {
    is_label(value, 8)
}

/// `startdate`.
pub(crate) fn start_date(value: &str) -> bool {
    let numbers = |text: &str, between: char, most: &[usize]| {
        let parts: Vec<&str> = text.split(between).collect();
        let fits = |(part, most): (&&str, &usize)| {
            (1..=*most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        parts.len() == most.len() && parts.iter().zip(most).all(fits)
    };
    let (date, time) = value.split_once('T').map_or((value, None), |(date, time)| (date, Some(time)));
    let day = numbers(date, '-', &[4, 2, 2]) && date.find('-') == Some(4);
    value == "now" || (day && time.is_none_or(|time| numbers(time, ':', &[2, 2, 2])))
}

/// `rate` of a limit on log lines.
pub(crate) fn log_rate(value: &str) -> bool {
    value.split_once('/').is_some_and(|(count, unit)| {
        let number = !count.starts_with('0') && count.bytes().all(|byte| byte.is_ascii_digit());
        number && !count.is_empty() && matches!(unit, "second" | "minute" | "hour" | "day")
    })
}

/// `parallelN`.
pub(crate) fn parallel(value: &str) -> bool {
    ["/dev/parport", "/dev/usb/lp"].iter().any(|start| {
        let number = value.strip_prefix(start);
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

/// `bootdisk`.
pub(crate) fn boot_disk(value: &str) -> Result<(), String> {
    match super::options::is_bus_drive(value) {
        true => Ok(()),
        false => Err(format!("invalid boot disk '{value}'")),
    }
}

/// `machine` without its options.
pub(crate) fn machine_type(value: &str) -> bool {
    matches!(value, "pc" | "q35" | "virt")
        || ["pc-i440fx-", "pc-q35-", "virt-"].iter().any(|start| value.starts_with(start))
}

/// The name of a snapshot, of a mapping and of many other things.
pub(crate) fn config_id(value: &str) -> Result<(), String> {
    let word = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let letter = value.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
    match word && letter && value.len() > 1 {
        true => Ok(()),
        false => Err(format!("invalid configuration ID '{value}'")),
    }
}

/// `userid`: a name and a realm.
pub(crate) fn user_id(value: &str) -> Result<(), String> {
    let realm = |realm: &str| {
        let first = realm.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
        first && realm.len() > 1 && realm.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
    };
    let fits = |(name, at): (&str, &str)| !name.is_empty() && !name.contains([' ', ':', '/', '\t']) && realm(at);
    match (value.len(), value.rsplit_once('@').is_some_and(fits)) {
        (0..3, _) => Err(format!("user name '{value}' is too short")),
        (length @ 65.., _) => Err(format!("user name '{value}' is too long ({length} > 64)")),
        (_, true) => Ok(()),
        (_, false) => Err(format!("value '{value}' does not look like a valid user name")),
    }
}

fn is_word(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}

/// `groupid`.
pub(crate) fn group_id(value: &str) -> Result<(), String> {
    is_word(value).then_some(()).ok_or_else(|| format!("group name '{value}' contains invalid characters"))
}

/// `roleid`.
pub(crate) fn role_id(value: &str) -> Result<(), String> {
    is_word(value).then_some(()).ok_or_else(|| format!("role name '{value}' contains invalid characters"))
}

/// `email`.
pub(crate) fn email(value: &str) -> Result<(), String> {
    let fits = |(name, host): (&str, &str)| !name.is_empty() && !host.is_empty() && !value.contains(' ');
    match value.is_empty() || value.rsplit_once('@').is_some_and(fits) {
        true => Ok(()),
        false => Err("value does not look like a valid email address".to_owned()),
    }
}

/// `macaddr`: a unicast address.
pub(crate) fn mac(value: &str) -> Result<(), String> {
    let parts: Vec<&str> = value.split(':').collect();
    let hex = |part: &&str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let unicast = parts.first().and_then(|part| u8::from_str_radix(part, 16).ok()).is_some_and(|byte| byte & 1 == 0);
    match parts.len() == 6 && parts.iter().all(hex) && unicast {
        true => Ok(()),
        false => Err("value does not look like a valid unicast MAC address".to_owned()),
    }
}

/// `bridge`.
pub(crate) fn bridge(value: &str) -> Result<(), String> {
    match value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
        true => Ok(()),
        false => Err(format!("invalid bridge ID '{value}'")),
    }
}

/// `file` of a drive.
pub(crate) fn volume_or_path(value: &str) -> Result<(), String> {
    match matches!(value, "none" | "cdrom") || value.starts_with('/') || value.contains(':') {
        true => Ok(()),
        false => Err(format!("unable to parse volume ID '{value}'")),
    }
}

/// A volume ID.
pub(crate) fn volume(value: &str) -> Result<(), String> {
    match value.split_once(':') {
        Some((storage, name)) if !storage.is_empty() && !name.is_empty() => Ok(()),
        _ => Err(format!("unable to parse volume ID '{value}'")),
    }
}

/// `uuid` of `smbios1`.
pub(crate) fn uuid(value: &str) -> bool {
    let lengths: Vec<usize> = value.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && value.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

/// Texts of `smbios1`.
pub(crate) fn base64_letters(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte))
}

/// `vmgenid`.
pub(crate) fn vmgenid(value: &str) -> bool {
    matches!(value, "0" | "1") || uuid(value)
}

/// `serialN`.
pub(crate) fn serial(value: &str) -> bool {
    value == "socket" || value.strip_prefix("/dev/").is_some_and(|rest| !rest.contains(','))
}

/// `size` of a resize call.
pub(crate) fn new_size(value: &str) -> bool {
    super::property::bytes(value.strip_prefix('+').unwrap_or(value)).is_some()
}

/// `url` of a download.
pub(crate) fn url(value: &str) -> bool {
    value.starts_with("http://") || value.starts_with("https://")
}

/// The old form of `boot`.
pub(crate) fn legacy_boot(value: &str) -> bool {
    (1..=4).contains(&value.len()) && value.bytes().all(|byte| b"acdn".contains(&byte))
}

/// `size` of a drive.
pub(crate) fn disk_size(value: &str) -> bool {
    super::property::bytes(value).is_some()
}

/// `startup`.
pub(crate) fn startup(value: &str) -> Result<(), String> {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let valid = |part: &str| match part.split_once('=') {
        Some((key, value)) => matches!(key, "order" | "up" | "down") && number(value),
        None => number(part),
    };
    match value.split(',').all(valid) {
        true => Ok(()),
        false => Err("unable to parse startup options".to_owned()),
    }
}

/// `hotplug`.
pub(crate) fn hotplug(value: &str) -> Result<(), String> {
    const FEATURES: &[&str] = &["network", "disk", "cpu", "memory", "usb", "cloudinit", "0", "1"];
    match value.split(',').find(|feature| !FEATURES.contains(feature)) {
        None => Ok(()),
        Some(feature) => Err(format!("invalid hotplug feature '{feature}'")),
    }
}

/// `affinity`.
pub(crate) fn cpu_set(value: &str) -> Result<(), String> {
    match value.bytes().all(|byte| byte.is_ascii_digit() || b",-".contains(&byte)) {
        true => Ok(()),
        false => Err("unable to parse cpuset option".to_owned()),
    }
}
