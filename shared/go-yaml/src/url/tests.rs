//! URLs as Go reads them.

use super::*;

fn merged(old: &str, new: &str) -> Option<String> {
    let mut url = Url::parse(old)?;
    url.merge(Url::parse(new)?)?;
    Some(url.to_string())
}

#[test]
fn urls_are_written_as_go_does() {
    for (text, written) in [
        ("HTTP://A/%7Eb?", "http://A/%7Eb?"),
        (" a", "%20a"),
        ("é", "%C3%A9"),
        ("http://u:p@h:1/p?q#f", "http://u:p@h:1/p?q#f"),
        ("tcp://[fe80::1%25eth0]:1", "tcp://[fe80::1%25eth0]:1"),
        ("http:/a", "http:/a"),
        ("file:///a b", "file:///a%20b"),
        ("mailto:a@b", "mailto:a@b"),
        ("udp://a:b:1/x!y'z", "udp://a:b:1/x!y'z"),
        ("", ""),
    ] {
        assert_eq!(Url::parse(text).map(|url| url.to_string()).as_deref(), Some(written), "{text}");
    }
}

#[test]
fn what_go_refuses_is_no_url() {
    for text in ["%zz", "http://a b/", "http://[::1", "://x", "10.0.0.1:80", "a\nb", "http://a:b", "http://[1.2.3.4]"] {
        assert_eq!(Url::parse(text), None, "{text}");
    }
}

#[test]
fn a_url_keeps_what_the_patch_leaves_out() {
    for (old, new, both) in [
        ("https://127.0.0.1:6643/", "https://10.0.0.1", Some("https://10.0.0.1/")),
        ("http://a/x?q=1", "https://b/y", Some("https://b/y?q=1")),
        ("http://a/x", "http://u:p@b", Some("http://u:p@b/x")),
        ("http://v@a/x", "http://u:p@b", None),
    ] {
        assert_eq!(merged(old, new).as_deref(), both, "{old} {new}");
    }
}
