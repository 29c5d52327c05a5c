//! Places at things that take only so many at a time.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use step::{Slot, Slots};

/// Gates by name, made when first used.
#[derive(Debug, Default)]
pub struct Gates {
    slots: Mutex<BTreeMap<String, Arc<Slots>>>,
}

impl Gates {
    /// Waits for a place at the gate of this name, which has so many; control planes first.
    pub async fn take(&self, name: String, places: usize, is_control_plane: bool) -> Slot {
        let slots = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(name).or_insert_with(|| Slots::new(places)))
        };
        slots.take(is_control_plane).await
    }
}
