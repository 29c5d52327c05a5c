//! What can go wrong: the fate of a call, and the states of hosts, VMs and nodes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// It is refused, and nothing is done.
    Fail {
        /// HTTP status, or number of the gRPC code.
        status: u16,
        /// The text.
        message: String,
    },
    /// Nothing is done and nothing is answered.
    Hang,
    /// It is done, but the connection ends before the reply.
    LoseReply,
    /// It is done, and the answer takes longer.
    Slow {
        /// By so much; twice as long as it would have, if it isn't said.
        #[serde(rename = "ms", with = "milliseconds")]
        by: Option<Duration>,
    },
    /// The answer is no answer of this protocol.
    Garbage,
}

/// What a proxy in the way says where there should be an answer.
pub const GARBAGE: &str = "<html><body>Bad Gateway</body></html>";

mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde hands the field over as it is")]
    pub(super) fn serialize<S: Serializer>(by: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        by.map(|by| by.as_millis() as u64).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(from)?.map(Duration::from_millis))
    }
}
