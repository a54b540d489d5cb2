//! Room for bodies that are on their way: large ones wait for each other, small ones for none.
//!
//! However many connections send, what is held of their bodies stays within bounds. Whoever knows a secret link waits
//! only for others who know one.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So much of every body needs no room: all that most webhooks have.
pub(crate) const FREE_BYTES: usize = 16 << 10;
/// Room is given in blocks.
const BLOCK_BYTES: usize = 64 << 10;
/// Blocks of each of the two: 8 MiB, or one longer body alone.
const BLOCKS: u32 = 128;

/// The room of one receiver.
#[derive(Debug)]
pub(crate) struct Room {
    known: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
}

impl Default for Room {
    fn default() -> Self {
        let all = || Arc::new(Semaphore::new(BLOCKS as usize));
        Self {
            known: all(),
            strangers: all(),
        }
    }
}

impl Room {
    /// Waits, in turn, for room for a body of up to `bytes`. It is given all at once: of those that wait for the rest of
    /// what they need, each would keep what the others wait for.
    pub(crate) async fn take(&self, is_known: bool, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let blocks = bytes.saturating_sub(FREE_BYTES).div_ceil(BLOCK_BYTES);
        let blocks = u32::try_from(blocks).unwrap_or(BLOCKS).min(BLOCKS);
        let of = if is_known {
            &self.known
        } else {
            &self.strangers
        };
        // It is never closed.
        Arc::clone(of).acquire_many_owned(blocks).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn large_bodies_wait_for_large_ones_of_their_kind() {
        let room = Room::default();
        let large = BLOCKS as usize * BLOCK_BYTES;
        // More than there is takes all there is.
        let held = room.take(false, 8 * large).await.unwrap();
        assert!(room.take(true, large).await.is_some());
        assert!(room.take(false, FREE_BYTES).await.is_some());
        let mut next = Box::pin(room.take(false, FREE_BYTES + 1));
        tokio::select! {
            biased;
            _ = &mut next => panic!("there was no room left"),
            () = tokio::task::yield_now() => {}
        }
        drop(held);
        assert!(next.await.is_some());
    }
}
