//! Says that Proxmox VE doesn't answer while something waits for it: whatever that is, nobody should wonder for minutes.

use std::time::Duration;

use pve_client::Client;
use step::Run;
use tokio::{task::JoinHandle, time::interval};

/// How often it is looked, and after how long without an answer it is said.
const LOOK: Duration = Duration::from_secs(5);
/// After how many looks it is said again.
const AGAIN: u32 = 6;

/// Looks at a client as long as it lives.
#[derive(Debug)]
pub struct Silent(JoinHandle<()>);

impl Silent {
    /// Begins to look at the calls of this client and its clones.
    pub fn told(run: &Run, pve: &Client) -> Self {
        let (run, pve) = (run.clone(), pve.clone());
        Self(tokio::spawn(async move {
            let (mut ticks, mut looks) = (interval(LOOK), 0);
            loop {
                ticks.tick().await;
                let Some(silence) = pve.silence().filter(|silence| silence.since.elapsed() >= LOOK) else {
                    looks = 0;
                    continue;
                };
                if looks % AGAIN == 0 {
                    let (endpoint, seconds) = (pve.endpoint(), silence.since.elapsed().as_secs());
                    run.announce(&format!(
                        "Proxmox VE at {endpoint} hasn't answered for {seconds} s ({}): it is asked again",
                        silence.why
                    ));
                }
                looks += 1;
            }
        }))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.0.abort();
    }
}
