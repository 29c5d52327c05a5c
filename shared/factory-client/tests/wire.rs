//! The client against a factory with scripted replies.

#![expect(clippy::unwrap_used, reason = "a test fails where its helpers do")]

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
};
use factory_client::{Client, Error, Fetched};
use schematic::{FactoryUrl, Format, Image};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const VANILLA: &str = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba";

/// The requests, and the replies that are still to be sent.
#[derive(Default)]
struct Script {
    asked: Vec<String>,
    answers: Vec<Response>,
}

type Shared = Arc<Mutex<Script>>;

async fn factory(answers: Vec<Response>) -> (Client, Shared) {
    let script = Arc::new(Mutex::new(Script { asked: Vec::new(), answers }));
    let app = Router::new().fallback(play).with_state(Arc::clone(&script));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = FactoryUrl::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (Client::new(base).unwrap(), script)
}

async fn play(State(script): State<Shared>, request: Request) -> Response {
    let asked = format!("{} {}", request.method(), request.uri());
    let mut script = script.lock().unwrap();
    script.asked.push(asked);
    if script.answers.is_empty() { answer(500, "nothing left to say") } else { script.answers.remove(0) }
}

fn typed(kind: &str, body: &[u8]) -> Response {
    Response::builder().status(200).header("content-type", kind).body(Body::from(body.to_owned())).unwrap()
}

fn answer(status: u16, body: &str) -> Response {
    let text = Response::builder().status(status).header("content-type", "text/plain; charset=utf-8");
    text.header("x-request-id", "r-1").body(Body::from(body.to_owned())).unwrap()
}

fn asked(script: &Shared) -> Vec<String> {
    script.lock().unwrap().asked.clone()
}

fn image() -> Image {
    Image {
        schematic: VANILLA.into(),
        version: "v1.13.9".parse().unwrap(),
        platform: "nocloud".into(),
        arch: "amd64".into(),
        format: Format::qcow2(),
        secureboot: false,
    }
}

#[tokio::test]
async fn a_schematic_gets_the_factorys_id() {
    let (client, _) = factory(vec![answer(201, &format!(r#"{{"id":"{VANILLA}"}}"#))]).await;

    assert_eq!(client.register("customization: {}\n").await.unwrap(), VANILLA);
}

#[tokio::test]
async fn a_refused_schematic_is_told_in_the_factorys_words_and_not_tried_again() {
    let words = "yaml: construct errors: line 1: field x not found in type schematic.Schematic";
    let (client, script) = factory(vec![answer(400, words)]).await;

    let error = client.register("x: 1").await.unwrap_err();

    assert_eq!(error.to_string(), "the Image Factory refused POST /schematics");
    assert_eq!(error.refusal().unwrap().message, words);
    assert_eq!(asked(&script).len(), 1);
}

#[tokio::test]
async fn a_factory_in_trouble_is_asked_again() {
    let list = r#"[{"name":"siderolabs/qemu-guest-agent","ref":"ghcr.io/x:1","digest":"sha256:0"}]"#;
    let (client, script) = factory(vec![answer(500, "internal server error\n"), answer(200, list)]).await;

    let extensions = client.extensions("v1.13.9".parse().unwrap()).await.unwrap();

    assert_eq!(extensions[0].name, "siderolabs/qemu-guest-agent");
    assert_eq!(asked(&script), ["GET /version/v1.13.9/extensions/official"; 2]);
}

#[tokio::test]
async fn an_empty_list_of_versions_may_be_null() {
    let (client, _) = factory(vec![answer(200, "null")]).await;

    assert_eq!(client.versions().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_web_site_is_no_factory() {
    let page =
        |_| Response::builder().status(404).header("content-type", "text/html").body(Body::from("<html>")).unwrap();
    let (client, _) = factory((0..4).map(page).collect()).await;

    assert!(matches!(client.versions().await, Err(Error::Foreign { .. })));
}

#[tokio::test]
async fn an_image_that_can_not_be_built_is_refused_in_words() {
    let words = "error enhancing profile from schematic: official extension \"x\" is not available";
    let (client, script) = factory(vec![answer(400, ""), answer(400, words)]).await;

    let error = client.prepare(&image()).await.unwrap_err();

    assert_eq!(error.refusal().unwrap().message, words);
    assert!(asked(&script)[0].starts_with("HEAD "));
}

/// A very small image.
const FILE: &[u8] = b"QFI\xfbef";
/// Its SHA-256.
const DIGEST: &str = "6bc26ba694734cae8473b18ed1b8b157ff8c7da9a87d16103078b959e7395712";

async fn fetched(client: &Client) -> Result<Fetched, Error> {
    client.fetch(&image(), None, &mut tokio::io::sink(), |_, _| ()).await
}

/// A factory that sends these bytes, one reply per connection, and closes it.
async fn wire(answers: Vec<Vec<u8>>) -> (Client, Shared) {
    let script = Shared::default();
    let seen = Arc::clone(&script);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = FactoryUrl::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            seen.lock().unwrap().asked.push(String::from_utf8_lossy(&request[..length]).into_owned());
            stream.write_all(&answer).await.unwrap();
        }
    });
    (Client::new(base).unwrap(), script)
}

/// Half of the image.
fn half(header: &str) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n{header}\r\n");
    [head.as_bytes(), &FILE[..3]].concat()
}

#[tokio::test]
async fn an_image_is_read_while_its_digest_is_taken() {
    let (client, _) = factory(vec![typed("application/x-qemu-disk", FILE)]).await;

    let result = fetched(&client).await;

    assert_eq!(result.unwrap(), Fetched { sha256: DIGEST.into(), bytes: 6 });
}

#[tokio::test]
async fn a_download_that_breaks_is_taken_up_where_the_server_can_do_that() {
    let rest = b"HTTP/1.1 206 Partial Content\r\ncontent-length: 3\r\ncontent-range: bytes 3-5/6\r\n\r\n";
    let (client, script) = wire(vec![half("etag: \"e1\"\r\n"), [rest, &FILE[3..]].concat()]).await;

    let result = fetched(&client).await;

    assert_eq!(result.unwrap(), Fetched { sha256: DIGEST.into(), bytes: 6 });
    assert!(asked(&script)[1].contains("range: bytes=3-\r\nif-range: \"e1\""));
}

#[tokio::test]
async fn a_download_that_breaks_elsewhere_is_cut_off() {
    let (client, _) = wire(vec![half("")]).await;

    let result = fetched(&client).await;

    assert!(matches!(result, Err(Error::Cut { received: 3, .. })), "{result:?}");
}

#[tokio::test]
async fn what_is_no_image_is_refused_and_has_no_digest() {
    let octets = "application/octet-stream";
    for (reply, what) in [
        (typed("text/html", b"<html>please log in</html>"), "status 200 and text/html"),
        (typed("application/json", b"null"), "it is application/json"),
        (typed("text/plain; charset=utf-8", FILE), "it is text/plain; charset=utf-8"),
        (typed(octets, b"<html>please log in</html>"), "it begins with \"<html>please log in</htm\""),
        (typed(octets, b"null"), "it begins with \"null\""),
        (typed(octets, b""), "it is empty"),
    ] {
        let once = [reply].into_iter().chain((0..3).map(|_| typed("text/html", b""))).collect();
        let (client, _) = factory(once).await;

        let error = fetched(&client).await.unwrap_err();

        assert!(error.to_string().contains(what) && error.is_worth_repeating(), "{error}");
        assert_eq!(verdict::Classify::facts(&error).exit, verdict::Exit::Failed, "{error}");
    }
}

#[tokio::test]
async fn an_image_of_another_size_than_was_announced_is_refused() {
    let announced = Response::builder().header("content-length", "7").body(Body::empty()).unwrap();
    let (client, _) = factory(vec![announced, typed("application/x-qemu-disk", FILE)]).await;

    let size = client.prepare(&image()).await.unwrap();
    let error = client.fetch(&image(), size, &mut tokio::io::sink(), |_, _| ()).await.unwrap_err();

    assert!(error.to_string().ends_with("is not the image (it has 6 bytes, and 7 were announced)"), "{error}");
}

#[tokio::test]
async fn a_body_without_a_length_ends_where_the_image_would() {
    let endless = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-qemu-disk\r\n\r\n";
    let (client, _) = wire(vec![[endless, FILE, FILE].concat()]).await;

    let error = client.fetch(&image(), Some(6), &mut tokio::io::sink(), |_, _| ()).await.unwrap_err();

    assert!(error.to_string().ends_with("(it has more than 6 bytes)"), "{error}");
}

/// What answers once in the factory's place, and then the factory.
#[tokio::test]
async fn an_answer_of_another_shape_is_asked_for_again() {
    let list = r#"[{"name":"siderolabs/qemu-guest-agent"}]"#;
    for odd in ["null", "{}", "", "<html>", r#"[{"names":1}]"#] {
        let (client, script) = factory(vec![answer(200, odd), answer(200, list)]).await;
        assert_eq!(client.extensions("v1.13.9".parse().unwrap()).await.unwrap().len(), 1, "{odd}");
        assert_eq!(asked(&script).len(), 2);

        let (client, _) = factory(vec![answer(200, odd), answer(201, &format!(r#"{{"id":"{VANILLA}"}}"#))]).await;
        assert_eq!(client.register("customization: {}\n").await.unwrap(), VANILLA, "{odd}");

        let (client, _) = factory(vec![answer(200, odd), answer(404, "schematic not found\n")]).await;
        assert!(!client.knows(VANILLA).await.unwrap(), "{odd}");
    }
}

#[tokio::test]
async fn who_always_answers_something_else_is_no_factory_and_is_quoted_in_short() {
    let odd = format!("\"{}\"", "A".repeat(100_000));
    let (client, script) = factory((0..4).map(|_| answer(200, &odd)).collect()).await;

    let error = client.extensions("v1.13.9".parse().unwrap()).await.unwrap_err();

    assert!(matches!(error, Error::Foreign { .. }) && error.to_string().len() < 500, "{error}");
    assert_eq!(asked(&script).len(), 4);
}

#[tokio::test]
async fn a_list_without_an_end_is_no_list() {
    let endless = || b"HTTP/1.1 200 OK\r\n\r\n".iter().copied().chain(std::iter::repeat_n(b'[', 5 << 20)).collect();
    let (client, _) = wire((0..4).map(|_| endless()).collect()).await;

    let error = client.versions().await.unwrap_err();

    assert!(error.to_string().contains("has more than 4194304 bytes"), "{error}");
}

#[tokio::test]
async fn only_an_image_may_be_elsewhere_and_only_where_it_stays_private() {
    let elsewhere =
        |place: &str| Response::builder().status(302).header("location", place).body(Body::empty()).unwrap();
    let (object, script) = factory(vec![typed("application/octet-stream", FILE)]).await;
    let place = object.base().to_string().replace("127.0.0.1", "localhost") + "/bucket/1";

    let (client, _) = factory(vec![elsewhere(&place)]).await;
    assert_eq!(fetched(&client).await.unwrap().sha256, DIGEST);
    let before = asked(&script).len();

    let (client, _) = factory((0..4).map(|_| elsewhere(&place)).collect()).await;
    let error = client.versions().await.unwrap_err();
    assert!(error.to_string().contains("it redirects GET /versions to \"http://localhost:"), "{error}");
    assert_eq!(asked(&script).len(), before);
}

#[tokio::test]
async fn who_asks_too_often_waits_as_long_as_the_factory_says() {
    let busy = Response::builder().status(429).header("retry-after", "1").body(Body::from("too many")).unwrap();
    let (client, script) = factory(vec![busy, answer(200, "[]")]).await;
    let begun = std::time::Instant::now();

    assert_eq!(client.versions().await.unwrap(), Vec::<String>::new());

    assert!(begun.elapsed() >= std::time::Duration::from_secs(1));
    assert_eq!(asked(&script).len(), 2);
}
