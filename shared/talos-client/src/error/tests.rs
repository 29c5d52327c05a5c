//! What errors mean.

use super::*;

fn address() -> Address {
    "10.0.0.11".parse().expect("an address")
}

fn of(status: &Status) -> Error {
    Error::of_status(&address(), "Bootstrap", status)
}

fn broken_by(cause: rustls::Error) -> Status {
    let mut status = Status::new(Code::Unknown, "transport error");
    status.set_source(Arc::new(io::Error::new(io::ErrorKind::InvalidData, cause)));
    status
}

#[test]
fn one_code_has_three_meanings_when_permission_is_denied() {
    let role = of(&Status::permission_denied("not authorized"));
    let forwarding = of(&Status::permission_denied("no request forwarding"));
    let resource = of(&Status::permission_denied("resource type \"X\" is not supported"));

    assert_eq!(role.class(), Class::Forbidden);
    assert_eq!(role.to_string(), "10.0.0.11 does not allow Bootstrap with these credentials");
    assert_eq!(forwarding.class(), Class::Final);
    assert_eq!(resource.message(), Some("resource type \"X\" is not supported"));
}

#[test]
fn a_failed_precondition_is_worth_another_try() {
    let error = of(&Status::failed_precondition("time is not in sync yet"));

    assert_eq!(error.class(), Class::Retry);
    assert_eq!(error.to_string(), "10.0.0.11 is not ready for Bootstrap: time is not in sync yet");
}

#[test]
fn an_alert_deep_in_the_causes_says_that_a_certificate_is_wanted() {
    let status = broken_by(rustls::Error::AlertReceived(AlertDescription::CertificateRequired));

    assert!(matches!(of(&status), Error::WantsCertificate { .. }));
}

#[test]
fn an_expired_client_certificate_is_not_a_lost_connection() {
    let status = broken_by(rustls::Error::AlertReceived(AlertDescription::CertificateExpired));

    assert_eq!(of(&status).class(), Class::Forbidden);
}

#[test]
fn a_connection_that_ends_is_lost_and_tells_why() {
    let mut status = Status::new(Code::Unknown, "transport error");
    status.set_source(Arc::new(io::Error::new(io::ErrorKind::BrokenPipe, "stream closed")));

    let error = of(&status);

    assert_eq!(error.class(), Class::Retry);
    assert_eq!(error.chain(), "10.0.0.11 closed the connection during Bootstrap: stream closed");
}

#[test]
fn an_invalid_configuration_is_final_and_keeps_the_words_of_the_node() {
    let error = of(&Status::invalid_argument("unknown keys found during decoding"));

    assert_eq!(error.class(), Class::Final);
    assert_eq!(error.message(), Some("unknown keys found during decoding"));
}

#[test]
fn what_is_no_grpc_may_have_been_carried_out_and_a_nodes_own_answer_to_a_change_is_one() {
    let garbled = of(&Status::internal("protocol error: received message with invalid compression flag: 60"));
    assert!(matches!(garbled, Error::Garbled { .. }) && garbled.class() == Class::Retry, "{garbled:?}");
    assert_eq!(of(&Status::internal("failed")).class(), Class::Final);
}
