//! How much more may be claimed.

use super::fairness::WorkerShares;
use super::in_flight::InFlight;

/// The most deliveries claimed ahead for one webhook.
pub(super) const MOST_AHEAD: usize = 768;

/// Nothing more is claimed while payloads of this many bytes are in flight, which bounds memory.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// How many more deliveries, and how many bytes of payloads, may be claimed in this turn.
///
/// In flight are at most twice as many deliveries as workers, plus three times the last group, so that the workers of fast
/// receivers never wait. Webhooks with nothing in flight may claim a few more when the others have used that up, for the
/// workers that [`WorkerShares`] reserves for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    deliveries: usize,
    bytes: usize,
    /// The same for webhooks with none in flight.
    deliveries_of_new: usize,
    bytes_of_new: usize,
}

/// How many deliveries of one event a run may claim as it stores the event, each given with the bytes that it sends. They go to
/// different webhooks, so what is claimed ahead of the workers takes nothing from others.
pub(super) fn most_at_once(workers: usize, sizes: impl Iterator<Item = usize>) -> usize {
    let mut bytes = 0;
    let fits = |size: &usize| {
        let is_first = bytes == 0;
        bytes += size;
        is_first || bytes <= MOST_BYTES
    };
    sizes.take(2 * workers + MOST_AHEAD).take_while(fits).count()
}

impl Room {
    /// `left` is how many more deliveries the run may attempt, including those in flight.
    pub(super) fn new(shares: WorkerShares, in_flight: &InFlight, last_group: usize, left: Option<u64>) -> Room {
        let (total, bytes) = (in_flight.total(), in_flight.bytes());
        let left = left.map_or(usize::MAX, |left| (left as usize).saturating_sub(total));
        let ahead = (3 * last_group).min(MOST_AHEAD);
        let deliveries = (2 * shares.workers() + ahead).saturating_sub(total);
        let most = 3 * shares.workers() + MOST_AHEAD;
        let deliveries_of_new = deliveries.max(shares.reserve().min(most.saturating_sub(total)));
        Room {
            deliveries: deliveries.min(left),
            bytes: MOST_BYTES.saturating_sub(bytes),
            deliveries_of_new: deliveries_of_new.min(left),
            bytes_of_new: (MOST_BYTES + MOST_BYTES / 4).saturating_sub(bytes),
        }
    }

    /// For how many lanes there is room.
    pub(super) fn lanes(self) -> usize {
        self.deliveries_of_new.max(self.deliveries)
    }

    /// The most that each of `lanes` may claim.
    pub(super) fn share(self, lanes: usize) -> usize {
        if lanes > 1 { self.deliveries.div_ceil(lanes).max(1) } else { usize::MAX }
    }

    /// How much of its share a webhook may claim that has `in_flight` deliveries in flight.
    pub(super) fn most(self, share: usize, in_flight: usize) -> usize {
        let (deliveries, bytes) = match in_flight {
            0 => (self.deliveries_of_new, self.bytes_of_new),
            _ => (self.deliveries, self.bytes),
        };
        if bytes == 0 { 0 } else { deliveries.min(share) }
    }

    /// Whether webhooks with deliveries in flight may claim more.
    pub(super) fn is_any(self) -> bool {
        self.most(usize::MAX, 1) > 0
    }

    /// Bytes of payloads that may be claimed.
    pub(super) fn bytes(self) -> usize {
        if self.bytes > 0 { self.bytes } else { self.bytes_of_new }
    }

    pub(super) fn take(&mut self, deliveries: usize, bytes: usize) {
        self.deliveries = self.deliveries.saturating_sub(deliveries);
        self.deliveries_of_new = self.deliveries_of_new.saturating_sub(deliveries);
        self.bytes = self.bytes.saturating_sub(bytes);
        self.bytes_of_new = self.bytes_of_new.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_event_as_many_are_claimed_at_first_as_their_bytes_may() {
        const MIB: usize = 1024 * 1024;
        let most = [2, MIB, 3 * MIB, 9 * MIB].map(|bytes| most_at_once(16, std::iter::repeat(bytes)));
        assert_eq!(most, [800, 8, 2, 1]);
        assert_eq!(most_at_once(16, [9 * MIB, 1].into_iter()), 1);
        assert_eq!(most_at_once(16, [1, 9 * MIB, 1].into_iter()), 1);
    }

    #[test]
    fn there_is_room_until_the_deliveries_or_the_bytes_are_used_up() {
        let room = Room::new(WorkerShares::new(4), &InFlight::default(), 0, None);
        assert_eq!((room.is_any(), room.lanes()), (true, 8));
        for (deliveries, bytes, is_any) in [(7, 1, true), (8, 1, false), (1, MOST_BYTES, false)] {
            let mut room = room;
            room.take(deliveries, bytes);
            assert_eq!(room.is_any(), is_any, "{deliveries} of {bytes} bytes");
        }
        assert_eq!(Room::new(WorkerShares::new(4), &InFlight::default(), 5, Some(6)).lanes(), 6, "the run's limit");
    }

    #[test]
    fn what_was_taken_is_not_there_for_the_next_lanes() {
        let mut room = Room::new(WorkerShares::new(4), &InFlight::default(), 0, None);
        assert_eq!((room.share(1), room.share(3)), (usize::MAX, 3));
        assert_eq!(room.most(3, 1), 3);
        room.take(6, MOST_BYTES - 1);
        assert_eq!((room.most(3, 1), room.bytes()), (2, 1));
        room.take(1, 1);
        assert_eq!((room.most(3, 1), room.most(3, 0)), (0, 1), "only one with none in flight may exceed the bytes");
        assert_eq!(room.bytes(), MOST_BYTES / 4);
        room.take(1, MOST_BYTES);
        assert_eq!(room.most(3, 0), 0);
    }
}
