//! The client against a server that says on the wire exactly what a test tells it to.

#![expect(clippy::unwrap_used, reason = "a test fails where its helpers do")]

mod files;
mod server;

use std::time::Duration;

use pve_client::{Client, Endpoint, Error, Fingerprint, Kind, Token, Trust, Upid, request};
use server::{Answer, Server};

fn client(server: &Server, trust: &Trust) -> Client {
    let token = Token::parse("talos@pve!cli=s3cret-s3cret").unwrap();
    Client::new(Endpoint::parse(&server.address()).unwrap(), &token, trust).unwrap()
}

fn pinned(server: &Server) -> Client {
    client(server, &Trust::Pinned(Fingerprint::of(&server.certificate)))
}

const VERSION: &str = r#"{"data":{"version":"9.2.11","release":"9.2"}}"#;

#[tokio::test]
async fn a_pinned_certificate_and_its_authority_are_trusted() {
    let server = Server::start(vec![Answer::json(200, "OK", VERSION), Answer::json(200, "OK", VERSION)]).await;

    let by_pin = pinned(&server).ask(&request::version()).await.unwrap();
    let by_authority = client(&server, &Trust::Authority(server.authority.clone())).ask(&request::version()).await;

    assert_eq!((by_pin.minor(), by_authority.unwrap().minor()), ((9, 2), (9, 2)));
    assert!(server.requests()[0].contains("authorization: PVEAPIToken=talos@pve!cli=s3cret-s3cret"));
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_shown_with_its_fingerprint_and_two_ways_on() {
    let server = Server::start(vec![]).await;
    let other = Trust::Pinned(Fingerprint::of(b"another certificate"));
    for trust in [Trust::System, other] {
        let error = client(&server, &trust).ask(&request::version()).await.unwrap_err();

        let Error::Untrusted { source, .. } = &error else { panic!("{error:?}") };
        assert_eq!(source.fingerprint, Fingerprint::of(&server.certificate));
        let hint = error.hint().unwrap();
        assert!(hint.contains("pve-root-ca.pem") && hint.contains(&source.fingerprint.to_string()), "{hint}");
    }
}

#[tokio::test]
async fn whoever_answers_is_trusted_only_when_asked_for() {
    let server = Server::start(vec![Answer::json(200, "OK", VERSION)]).await;

    assert!(client(&server, &Trust::Anyone).ask(&request::version()).await.is_ok());
}

#[tokio::test]
async fn a_server_without_tls_is_not_proxmox() {
    let server = Server::without_tls().await;

    let error = pinned(&server).ask(&request::version()).await.unwrap_err();

    assert!(matches!(&error, Error::Foreign { what, .. } if what == "it does not speak TLS"), "{error:?}");
}

#[tokio::test]
async fn nobody_listening_is_unreachable_with_the_innermost_reason() {
    let server = Server::start(vec![]).await;
    let client = pinned(&server);
    server.stop().await;

    let error = client.ask(&request::version()).await.unwrap_err();

    let Error::Unreachable { source, .. } = &error else { panic!("{error:?}") };
    assert!(source.to_string().contains("refused"), "{source}");
    assert!(error.is_transient());
}

#[tokio::test]
async fn the_reason_phrase_is_the_message_of_a_reply_without_a_body() {
    let mut answers = vec![Answer::text(401, "No ticket", "")];
    // A read is tried again before it is given up.
    answers.extend((0..4).map(|_| Answer::text(595, "Connection refused", "")));
    let server = Server::start(answers).await;
    let client = pinned(&server);

    let unauthorized = client.ask(&request::version()).await.unwrap_err();
    let proxied = client.ask(&request::version()).await.unwrap_err();

    assert_eq!(unauthorized.refusal().unwrap().message, "No ticket");
    assert_eq!(proxied.kind(), Some(Kind::Busy));
}

#[tokio::test]
async fn a_read_on_a_dropped_connection_is_sent_once_more_and_a_write_is_not() {
    let server = Server::start(vec![Answer::Drop, Answer::json(200, "OK", VERSION), Answer::Drop]).await;
    let client = pinned(&server);

    assert!(client.ask(&request::version()).await.is_ok());
    assert!(client.ask(&request::start("pve1", 100)).await.unwrap_err().is_transient());
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_read_that_a_host_was_too_busy_for_is_tried_again_and_a_write_is_not() {
    let busy = || Answer::text(596, "Broken pipe", "");
    let server = Server::start(vec![busy(), busy(), Answer::json(200, "OK", VERSION), busy()]).await;
    let client = pinned(&server);

    assert!(client.ask(&request::version()).await.is_ok());
    assert_eq!(client.ask(&request::start("pve1", 100)).await.unwrap_err().kind(), Some(Kind::Busy));
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn a_read_that_something_else_answered_is_asked_once_more_and_believed_the_second_time() {
    let page = || Answer::html(200, "OK", "<html>please log in</html>");
    let other = || Answer::json(200, "OK", r#"{"data":[]}"#);
    let good = || Answer::json(200, "OK", VERSION);
    let broken = Answer::html(500, "Internal Server Error", "<html>oops</html>");
    let server = Server::start(vec![page(), good(), other(), good(), broken, good(), page(), page()]).await;
    let client = pinned(&server);

    for _ in 0..3 {
        assert!(client.ask(&request::version()).await.is_ok());
    }
    let error = client.ask(&request::version()).await.unwrap_err();

    assert!(matches!(error, Error::Foreign { .. }), "{error:?}");
    assert_eq!(server.requests().len(), 8);
}

#[tokio::test]
async fn a_reply_without_end_is_refused_before_it_fills_the_memory() {
    let huge = || Answer::json(200, "OK", &format!(r#"{{"data":"{}"}}"#, "A".repeat(33 << 20)));
    let server = Server::start(vec![huge(), huge()]).await;

    let error = pinned(&server).ask(&request::version()).await.unwrap_err();

    assert!(matches!(&error, Error::Foreign { what, .. } if what.contains("larger than any")), "{error}");
}

#[tokio::test]
async fn a_change_that_something_else_answered_may_be_done_and_is_not_sent_again() {
    let page = Answer::html(200, "OK", "<html>please log in</html>");
    let server = Server::start(vec![page, Answer::json(200, "OK", r#"{"data":{}}"#)]).await;
    let client = pinned(&server);

    for _ in 0..2 {
        let error = client.ask(&request::start("pve1", 100)).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }) && error.is_transient(), "{error:?}");
    }
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_call_that_came_too_often_is_sent_again_whatever_it_is_and_when_the_answer_says() {
    let often = || Answer::text(429, "Too Many Requests", "").with("retry-after: 0");
    let upid = r#"{"data":"UPID:pve1:000073B7:0002752E:6B044D6D:qmstart:100:talos@pve!cli:"}"#;
    let good = || Answer::json(200, "OK", upid);
    let server = Server::start(vec![often(), good(), often(), often(), often(), often()]).await;
    let client = pinned(&server);

    assert!(client.ask(&request::start("pve1", 100)).await.is_ok());
    let error = client.ask(&request::version()).await.unwrap_err();

    assert_eq!((error.kind(), error.is_transient()), (Some(Kind::Busy), true));
    assert_eq!(server.requests().len(), 6);
}

#[tokio::test]
async fn the_warnings_of_a_task_that_succeeded_are_kept_for_who_asks() {
    let status = r#"{"data":{"status":"stopped","exitstatus":"WARNINGS: 1"}}"#;
    let log =
        r#"{"total":2,"data":[{"n":1,"t":"removing"},{"n":2,"t":"WARN: Could not remove disk 'a:vm-5-disk-0'"}]}"#;
    let server = Server::start(vec![Answer::json(200, "OK", status), Answer::json(200, "OK", log)]).await;
    let client = pinned(&server);
    let upid = Upid::parse("UPID:pve1:000073B7:0002752E:6B044D6D:qmdestroy:5:talos@pve!cli:").unwrap();

    client.finish(&upid, Duration::from_secs(30)).await.unwrap();

    assert_eq!(client.warnings(6), []);
    assert_eq!(client.warnings(5)[0].lines, ["WARN: Could not remove disk 'a:vm-5-disk-0'"]);
    assert_eq!(client.warnings(5), [], "each is told once");
}

#[tokio::test]
async fn a_failed_task_brings_its_last_words_and_the_end_of_its_log() {
    let status = r#"{"data":{"status":"stopped","exitstatus":"unable to create VM 5 - no space left"}}"#;
    let log = r#"{"total":2,"data":[{"n":1,"t":"creating disk"},{"n":2,"t":"TASK ERROR: unable to create VM 5"}]}"#;
    let running = Answer::json(200, "OK", r#"{"data":{"status":"running"}}"#);
    let unreachable = Answer::text(596, "Connection timed out", "");
    let server =
        Server::start(vec![running, unreachable, Answer::json(200, "OK", status), Answer::json(200, "OK", log)]);
    let server = server.await;
    let upid = Upid::parse("UPID:pve1:000073B7:0002752E:6B044D6D:qmcreate:5:talos@pve!cli:").unwrap();

    let error = pinned(&server).finish(&upid, Duration::from_secs(30)).await.unwrap_err();

    assert_eq!(error.to_string(), "task qmcreate of 5 on pve1 failed");
    assert_eq!(error.refusal().unwrap().message, "unable to create VM 5 - no space left");
    assert_eq!(error.hint().unwrap(), "the task's log ends with: creating disk", "the error is not repeated");
}

#[tokio::test]
async fn a_task_that_goes_on_is_told_from_one_that_failed() {
    let running = || Answer::json(200, "OK", r#"{"data":{"status":"running"}}"#);
    let server = Server::start((0..50).map(|_| running()).collect()).await;
    let upid = Upid::parse("UPID:pve1:000073B7:0002752E:6B044D6D:qmstart:5:talos@pve!cli:").unwrap();

    let error = pinned(&server).finish(&upid, Duration::from_millis(200)).await.unwrap_err();

    assert!(matches!(error, Error::TaskRuns { .. }), "{error:?}");
}

#[tokio::test]
async fn a_task_that_nobody_can_ask_about_any_more_is_not_said_to_run() {
    let server = Server::start(Vec::new()).await;
    let client = pinned(&server);
    drop(server);
    let upid = Upid::parse("UPID:pve1:000073B7:0002752E:6B044D6D:qmstart:5:talos@pve!cli:").unwrap();
    assert_eq!(client.silence(), None);

    let error = client.finish(&upid, Duration::from_millis(200)).await.unwrap_err();

    assert!(error.is_transient() && !error.to_string().contains("is still running"), "{error}");
    let silence = client.silence().unwrap();
    assert!(error.to_string().contains("can't be seen"), "{error}");
    assert!(!silence.why.is_empty());
}

const TICKET: &str = r#"{"data":{"user":"talos@pve!cli","ticket":"PVEVNC:6B0::s3cret==","port":5900,"upid":"x"}}"#;

/// Asks for the console of a VM at a server that hands out a ticket and then says this.
async fn terminal(answer: Answer) -> (Error, Vec<String>) {
    let server = Server::start(vec![Answer::json(200, "OK", TICKET), answer]).await;
    let error = pinned(&server).terminal("pve1", 100).await.err().unwrap();
    (error, server.requests())
}

#[tokio::test]
async fn a_console_is_asked_for_as_everything_else_and_its_ticket_is_in_no_error() {
    let switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n";
    let wrong = Answer::Say(format!("{switched}Sec-WebSocket-Accept: bm90IG91cnM=\r\n\r\n"));
    let refused = Answer::text(401, "permission denied - invalid PVEVNC ticket", "");
    for answer in [refused, wrong, Answer::json(200, "OK", r#"{"data":{"port":"5900"}}"#), Answer::Drop] {
        let (error, requests) = terminal(answer).await;

        let chain = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
        let words: String = chain.map(|error| format!("{error} {error:?}\n")).collect();
        assert!(!words.contains("s3cret") && !words.contains("vncticket"), "{words}");
        assert!(
            requests[0].contains("POST /api2/json/nodes/pve1/qemu/100/termproxy")
                && requests[0].ends_with("serial=serial0")
        );
        let wanted =
            "GET /api2/json/nodes/pve1/qemu/100/vncwebsocket?port=5900&vncticket=PVEVNC%3A6B0%3A%3As3cret%3D%3D ";
        assert!(requests[1].starts_with(wanted), "{}", requests[1]);
        assert!(requests[1].contains("authorization: PVEAPIToken=talos@pve!cli=s3cret-s3cret"), "{}", requests[1]);
    }
    let (refused, _) = terminal(Answer::text(403, "Permission check failed (/vms/100, VM.Console)", "")).await;
    assert!(refused.hint().unwrap().starts_with("VM.Console is missing on /vms"));
}

#[tokio::test]
async fn a_host_that_nobody_vouches_for_gets_neither_the_token_nor_a_question_for_a_console() {
    let server = Server::start(vec![Answer::json(200, "OK", TICKET)]).await;
    let other = Trust::Pinned(Fingerprint::of(b"another certificate"));

    let error = client(&server, &other).terminal("pve1", 100).await.err().unwrap();

    assert!(matches!(error, Error::Untrusted { .. }), "{error:?}");
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn another_host_is_known_by_the_certificate_that_the_cluster_tells_or_not_at_all() {
    let one = Server::start(vec![]).await;
    let two = Server::start(vec![Answer::json(200, "OK", VERSION), Answer::json(200, "OK", VERSION)]).await;
    let endpoint = || Endpoint::parse(&two.address()).unwrap();
    let told = Some(Fingerprint::of(&two.certificate));
    for client in [pinned(&one), client(&one, &Trust::Anyone)] {
        assert!(client.at(endpoint(), told).unwrap().ask(&request::version()).await.is_ok());
    }
    let untold = pinned(&one).at(endpoint(), None).unwrap().ask(&request::version()).await.unwrap_err();
    assert!(matches!(untold, Error::Untrusted { .. }), "{untold:?}");
    let wrong = Some(Fingerprint::of(b"another certificate"));
    let anyone = client(&one, &Trust::Anyone).at(endpoint(), wrong).unwrap();
    assert!(matches!(anyone.ask(&request::version()).await, Err(Error::Untrusted { .. })));
}
