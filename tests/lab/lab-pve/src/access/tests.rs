//! Tokens, tickets and rights.

use super::*;

fn access() -> Access {
    let mut access = Access::new(Release::V9_2);
    access.add("talos@pve!cli", "s3cret", &[("/", &["Sys.Audit"]), ("/vms/100", &["VM.Audit"])]);
    access
}

fn by_header(access: &Access, header: Option<&str>) -> Result<Token, Unauthorized> {
    access.identify(&Credentials { authorization: header, ..Credentials::default() }, 0)
}

#[test]
fn a_token_is_known_by_name_and_secret_in_both_spellings() {
    let access = access();
    for header in ["PVEAPIToken=talos@pve!cli=s3cret", "PVEAPIToken talos@pve!cli=s3cret"] {
        assert!(by_header(&access, Some(header)).is_ok());
    }
    let refused = |header| by_header(&access, header).err();
    assert_eq!(refused(None), Some(Unauthorized::NoTicket));
    assert_eq!(refused(Some("Bearer x")), Some(Unauthorized::NoTicket));
    assert_eq!(refused(Some("PVEAPIToken=talos@pve!cli=wrong")), Some(Unauthorized::Failed));
}

#[test]
fn privileges_are_inherited_until_a_nearer_path_replaces_them() {
    let token = by_header(&access(), Some("PVEAPIToken=talos@pve!cli=s3cret")).expect("a known token");
    assert!(token.may("/nodes/pve1", "Sys.Audit"));
    assert!(token.may("/vms/100", "VM.Audit"));
    assert!(!token.may("/vms/100", "Sys.Audit"));
    assert!(!token.may("/vms/101", "VM.Audit"));
}

#[test]
fn the_rights_of_a_token_end_where_those_of_its_user_end() {
    let mut access = access();
    access.add_user("talos@pve", "pw", &[("/vms", &["VM.Audit"])]);
    let token = by_header(&access, Some("PVEAPIToken=talos@pve!cli=s3cret")).expect("a known token");
    assert!(token.may("/vms/100", "VM.Audit") && !token.may("/", "Sys.Audit"));
    let held = ["/", "/vms/100"].map(|path| token.at(path).into_keys().collect::<Vec<_>>());
    assert_eq!(held, [Vec::new(), vec!["VM.Audit".to_owned()]]);
}

#[test]
fn a_ticket_reads_alone_and_changes_only_with_its_companion() {
    let mut access = access();
    access.add_user("root@pam", "pw", &[]);
    let none = Factor::default();
    assert!(access.log_in("root@pam", "wrong", none, 0, 1).is_none());
    let LogIn { ticket, csrf, .. } = access.log_in("root@pam", "pw", none, 0, 7).expect("the right password");
    let cookie = format!("a=b; PVEAuthCookie={ticket}");
    let with = |csrf, writes, now| {
        let credentials = Credentials { cookie: Some(&cookie), csrf, writes, ..Credentials::default() };
        access.identify(&credentials, now).err()
    };
    assert_eq!(with(None, false, 0), None);
    assert_eq!(with(None, true, 0), Some(Unauthorized::NoCsrf));
    assert_eq!(with(Some(csrf.as_str()), true, LIFE), None);
    assert_eq!(with(None, false, LIFE + 1), Some(Unauthorized::BadTicket), "two hours are over");
}

#[test]
fn who_has_a_second_factor_is_asked_for_it_and_only_the_one_who_was_asked_may_answer() {
    let (mut access, secret) = (access(), b"12345678901234567890".to_vec());
    for name in ["a@pve", "b@pve"] {
        access.add_user(name, "pw", &[]);
        access.directory.users.get_mut(name).expect("a user").totp = Some(secret.clone());
    }
    let asked = access.log_in("a@pve", "pw", Factor::default(), 59, 1).expect("the right password");
    assert!(asked.incomplete && asked.ticket.starts_with("PVE:!tfa!{\"totp\"%3Atrue}:"), "{}", asked.ticket);
    let cookie = format!("PVEAuthCookie={}", asked.ticket);
    let credentials = Credentials { cookie: Some(&cookie), ..Credentials::default() };
    assert_eq!(access.identify(&credentials, 59).err(), Some(Unauthorized::BadTicket));
    let factor = Factor { question: Some(&asked.ticket), ..Factor::default() };
    let mut answer = |name, code| access.log_in(name, code, factor, 59, 2).map(|log_in| log_in.incomplete);
    assert_eq!(answer("b@pve", "totp:287082"), None);
    assert_eq!(answer("a@pve", "totp:000000"), None);
    assert_eq!(answer("a@pve", "287082"), None);
    assert_eq!(answer("a@pve", "totp:287082"), Some(false));
}

#[test]
fn a_role_that_is_not_handed_down_counts_at_its_path_alone() {
    let mut access = access();
    access.add_user("u@pve", "pw", &[]);
    let right = |path: &str| (path.to_owned(), Holder::User, "u@pve".to_owned(), "PVEAuditor".to_owned());
    access.directory.rights.extend([(right("/vms"), false), (right("/nodes"), true)]);
    let user = access.named("u@pve");
    assert!(user.may("/vms", "VM.Audit") && !user.may("/vms/100", "VM.Audit"));
    assert!(user.may("/nodes/pve1", "Sys.Audit"));
    let none = ("/nodes/pve1".to_owned(), Holder::User, "u@pve".to_owned(), "NoAccess".to_owned());
    access.directory.rights.insert(none, true);
    assert!(!access.named("u@pve").may("/nodes/pve1", "Sys.Audit"));
}

#[test]
fn members_have_what_their_group_has_where_they_have_nothing_of_their_own() {
    let mut access = access();
    access.add_user("u@pve", "pw", &[("/vms/100", &["VM.Audit"])]);
    access.directory.groups.insert("g".to_owned(), (["u@pve".to_owned()].into(), String::new()));
    let right = ("/vms".to_owned(), Holder::Group, "g".to_owned(), "PVEVMAdmin".to_owned());
    access.directory.rights.insert(right, true);
    let user = access.named("u@pve");
    assert!(user.may("/vms/101", "VM.Allocate") && !user.may("/vms/100", "VM.Allocate"));
}
