//! A connected node, and how calls are made on it.

use std::{
    future::Future,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt, stream::BoxStream};
use hyper_util::rt::TokioIo;
use talos_proto::{
    common::Data, cosi::resource::state_client::StateClient, machine::machine_service_client::MachineServiceClient,
};
use tokio::time::{sleep, timeout};
use tonic::{
    Response, Status, Streaming,
    transport::{Channel, Endpoint},
};

use crate::{Address, Error, Fingerprint, Limits, Trust, contact::Contact};

/// The largest message that Talos sends or takes.
const MESSAGE_LIMIT: usize = 32 << 20;
/// After how long a look is asked for once more.
const AGAIN: Duration = Duration::from_millis(100);

/// The HTTP/2 windows that Talos's own client uses.
const STREAM_WINDOW: u32 = 65_535 * 32;
const CONNECTION_WINDOW: u32 = 65_535 * 16;

/// One connection to one node.
///
/// It doesn't reconnect when it ends: then every call fails with [`Error::Lost`], and the caller connects again.
/// Cloning is cheap; clones share the connection.
#[derive(Debug, Clone)]
pub struct Node {
    address: Address,
    fingerprint: Fingerprint,
    limits: Limits,
    channel: Channel,
}

impl Node {
    /// Connects to the node at `address` under `trust`.
    ///
    /// # Errors
    ///
    /// The error is what was found instead: nothing, a node in maintenance mode, one of another cluster, …
    pub async fn connect(address: &Address, trust: &Trust, limits: Limits) -> Result<Self, Error> {
        let contact = Contact::trusted(address, trust, limits).await?;
        Self::over(contact, address, limits).await
    }

    /// Uses gRPC over an existing connection.
    pub(crate) async fn over(contact: Contact, address: &Address, limits: Limits) -> Result<Self, Error> {
        let fingerprint = contact.fingerprint;
        let channel = channel(contact, address, limits).await?;
        Ok(Self { address: address.clone(), fingerprint, limits, channel })
    }

    /// Where the node is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The fingerprint of the certificate that it showed.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    pub(crate) fn machine(&self) -> MachineServiceClient<Channel> {
        MachineServiceClient::new(self.channel.clone())
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT)
    }

    pub(crate) fn state(&self) -> StateClient<Channel> {
        StateClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_LIMIT)
    }

    /// The reply to one call, within the limit of a call.
    pub(crate) async fn reply<T>(
        &self,
        call: &'static str,
        answer: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Error> {
        self.within(call, async { answer.await.map(Response::into_inner) }).await
    }

    /// The reply to a call that changes nothing: one that may be a glitch is asked for once more.
    pub(crate) async fn looked<T, A>(&self, call: &'static str, ask: impl Fn() -> A) -> Result<T, Error>
    where
        A: Future<Output = Result<Response<T>, Status>>,
    {
        once_more(|| self.reply(call, ask())).await
    }

    /// The same for a streamed reply.
    pub(crate) async fn looked_at_all<T, A>(
        &self,
        call: &'static str,
        most: usize,
        ask: impl Fn() -> A,
    ) -> Result<Vec<T>, Error>
    where
        A: Future<Output = Result<Response<Streaming<T>>, Status>>,
    {
        once_more(|| self.replies(call, most, ask())).await
    }

    /// All messages of a streamed reply, within the limit of a call. More than `most` are refused.
    pub(crate) async fn replies<T>(
        &self,
        call: &'static str,
        most: usize,
        answer: impl Future<Output = Result<Response<Streaming<T>>, Status>>,
    ) -> Result<Vec<T>, Error> {
        let all = async {
            let messages: BoxStream<'_, Result<T, Status>> = answer.await?.into_inner().take(most + 1).boxed();
            messages.collect::<Vec<_>>().await.into_iter().collect::<Result<Vec<T>, Status>>()
        };
        let messages = self.within(call, all).await?;
        if messages.len() > most {
            return Err(self.unreadable(call, format!("more than {most} messages")));
        }
        Ok(messages)
    }

    /// The bytes of a streamed file.
    pub(crate) async fn bytes<A>(&self, call: &'static str, ask: impl Fn() -> A) -> Result<Vec<u8>, Error>
    where
        A: Future<Output = Result<Response<Streaming<Data>>, Status>>,
    {
        let frames = self.looked_at_all(call, 1 << 16, ask).await?;
        Ok(frames.into_iter().flat_map(|frame| frame.bytes).collect())
    }

    /// The one message that the node itself replies with. Several come only when requests are forwarded.
    pub(crate) fn only<T>(&self, call: &'static str, messages: Vec<T>) -> Result<T, Error> {
        messages.into_iter().next().ok_or_else(|| self.unreadable(call, "it holds no message".to_owned()))
    }

    pub(crate) fn unreadable(&self, call: &'static str, why: String) -> Error {
        Error::Unreadable { address: self.address.clone(), call, why }
    }

    async fn within<T>(&self, call: &'static str, answer: impl Future<Output = Result<T, Status>>) -> Result<T, Error> {
        let limit = self.limits.call;
        timeout(limit, answer)
            .await
            .map_err(|_| Error::Hanging { address: self.address.clone(), call, limit })?
            .map_err(|status| Error::of_status(&self.address, call, &status))
    }
}

/// Looks again if what came back may be a glitch.
async fn once_more<T, A: Future<Output = Result<T, Error>>>(look: impl Fn() -> A) -> Result<T, Error> {
    match look().await {
        Err(error) if error.may_be_a_glitch() => {
            sleep(AGAIN).await;
            look().await
        }
        answer => answer,
    }
}

/// A channel over this one connection: opening a second one fails.
async fn channel(contact: Contact, address: &Address, limits: Limits) -> Result<Channel, Error> {
    let call = "the HTTP/2 handshake";
    let lost = || Error::Lost { address: address.clone(), call, source: None };
    // The address goes into `:authority`; TLS is ours already, so the channel must not add it.
    let uri = |scheme: &str| http::Uri::try_from(format!("{scheme}://{}", address.authority())).map_err(|_| lost());
    let once = Arc::new(Mutex::new(Some(TokioIo::new(contact.stream))));
    let connector = tower::service_fn(move |_: http::Uri| {
        let stream = once.lock().unwrap_or_else(PoisonError::into_inner).take();
        std::future::ready(stream.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected)))
    });
    let connecting = Endpoint::from(uri("http")?)
        .origin(uri("https")?)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    timeout(limits.dial, connecting.connect_with_connector(connector))
        .await
        .map_err(|_| Error::Hanging { address: address.clone(), call, limit: limits.dial })?
        .map_err(|_| lost())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tonic::Code;

    use super::*;

    /// How often a look is made that answers so at first, and well the second time.
    async fn looks(code: Code, message: &str) -> (usize, bool) {
        let (address, looked) = ("10.0.0.11".parse::<Address>().expect("an address"), AtomicUsize::new(0));
        let answer = once_more(|| async {
            match looked.fetch_add(1, Ordering::Relaxed) {
                0 => Err(Error::of_status(&address, "Version", &Status::new(code, message))),
                _ => Ok(()),
            }
        });
        let is_well = answer.await.is_ok();
        (looked.load(Ordering::Relaxed), is_well)
    }

    #[tokio::test]
    async fn only_what_may_be_a_glitch_is_looked_at_once_more() {
        for code in [Code::Unknown, Code::Internal, Code::DataLoss] {
            assert_eq!(looks(code, "oops").await, (2, true), "{code}");
        }
        let garbage = "protocol error: received message with invalid compression flag: 60";
        assert_eq!(looks(Code::Internal, garbage).await, (2, true));
        for code in [Code::InvalidArgument, Code::PermissionDenied, Code::NotFound, Code::Unavailable] {
            assert_eq!(looks(code, "no").await, (1, false), "{code}");
        }
    }
}
