//! The queue between those who end spans and the thread that sends them: it grows with what waits,
//! up to a capacity, and hands out whole batches.
//!
//! Everybody who waits for the thread (a flush, the end of the program) waits here as well.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::delivery::Delivery;

/// How a signal is queued and sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Batching {
    /// How many may wait for delivery.
    pub(crate) queue: usize,
    /// How many go into one request.
    pub(crate) batch: usize,
    /// How long one waits at most before it is sent.
    pub(crate) delay: Duration,
}

/// What is queued.
pub(crate) trait Queued: Send + 'static {
    /// Whether others must not crowd it out. There is some more room for such items.
    fn is_important(&self) -> bool {
        false
    }

    /// About how many bytes of strings it has.
    fn size(&self) -> usize;
}

/// How many bytes may wait, besides how many items: they may have long texts, and a collector may be
/// away for hours.
pub(super) const MOST_BYTES: usize = 256 * 1024 * 1024;
/// From how many waiting items on their bytes are counted. Fewer are no danger, and usually there
/// are fewer, so that usually nothing is spent on that.
pub(super) const COUNTED_FROM: u64 = 4_096;

/// The longest time that a server is left alone, whatever it asks for: what a clock can show has an end.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// How the thread that sends came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    InOrder,
    Panicked,
}

/// How waiting for the thread came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    /// What was waited for is done.
    Done,
    /// A request failed, and what it carried is kept.
    Refused,
    /// The thread is gone.
    Panicked,
    /// There was no answer in time.
    TimedOut,
}

/// What a flush waits for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    flush: u64,
    until: u64,
}

/// What the thread knew when it began a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    flush: u64,
    stopping: bool,
}

/// Items on their way to the thread that sends them.
#[derive(Debug)]
pub(super) struct Queue<Item> {
    state: Mutex<State<Item>>,
    /// Something for the thread to do.
    work: Condvar,
    /// Something for those who wait for the thread.
    progress: Condvar,
    batching: Batching,
    pub(super) delivery: Arc<Delivery>,
}

#[derive(Debug)]
struct State<Item> {
    /// Each is one batch; only the last one may still grow.
    blocks: VecDeque<Block<Item>>,
    /// How many bytes are in them, as far as they are counted.
    bytes: usize,
    /// How many were taken in, ever.
    pushed: u64,
    /// How many were delivered or lost, ever.
    settled: u64,
    /// How many flushes were asked for.
    flushes: u64,
    /// The number of items at the last of them: up to there nothing waits for company.
    flush_until: u64,
    /// The last flush that met a request which failed.
    refused_flush: u64,
    /// By when all must have ended, once that is asked for.
    stop: Option<Instant>,
    ended: Option<Ended>,
}

#[derive(Debug)]
struct Block<Item> {
    items: Vec<Item>,
    bytes: usize,
}

impl<Item: Queued> Queue<Item> {
    pub(super) fn new(batching: Batching, delivery: Arc<Delivery>) -> Self {
        Self {
            state: Mutex::new(State {
                blocks: VecDeque::new(),
                bytes: 0,
                pushed: 0,
                settled: 0,
                flushes: 0,
                flush_until: 0,
                refused_flush: 0,
                stop: None,
                ended: None,
            }),
            work: Condvar::new(),
            progress: Condvar::new(),
            batching,
            delivery,
        }
    }

    /// Takes in one more, if there is room.
    pub(super) fn push(&self, item: Item) {
        let Batching {
            queue,
            batch,
            delay,
        } = self.batching;
        let mut state = self.lock();
        if state.ended.is_some() {
            self.delivery.late();
            return;
        }
        let waiting = state.pushed - state.settled;
        let bytes = match waiting {
            COUNTED_FROM.. => item.size(),
            _ => 0,
        };
        let has_room = waiting < queue as u64 && state.bytes + bytes <= MOST_BYTES;
        let has_reserve = waiting < (queue + queue / 8) as u64;
        let is_taken = has_room || (has_reserve && item.is_important());
        if !is_taken {
            self.delivery.overflowed();
            return;
        }
        self.delivery.enqueued();
        state.pushed += 1;
        state.bytes += bytes;
        let is_first = state.blocks.is_empty();
        let length = match state.blocks.back_mut() {
            Some(block) if block.items.len() < batch => {
                block.items.push(item);
                block.bytes += bytes;
                block.items.len()
            }
            _ => {
                let items = vec![item];
                state.blocks.push_back(Block { items, bytes });
                1
            }
        };
        drop(state);
        // The thread sleeps until the first one has waited long enough or a batch is complete.
        if is_first || length == batch || delay.is_zero() {
            self.work.notify_one();
        }
    }

    /// The next batch, once it is due; `None` when there will be none any more.
    pub(super) fn next(&self) -> Option<Vec<Item>> {
        let Batching { batch, delay, .. } = self.batching;
        let mut state = self.lock();
        let mut since = Instant::now();
        loop {
            if self.delivery.closed().is_cancelled() {
                return None;
            }
            let Some(block) = state.blocks.front() else {
                if state.stop.is_some() {
                    return None;
                }
                state = wait(&self.work, state);
                since = Instant::now();
                continue;
            };
            let is_wanted = state.stop.is_some() || state.settled < state.flush_until;
            let waited = since.elapsed();
            if block.items.len() >= batch || is_wanted || waited >= delay {
                let block = state.blocks.pop_front()?;
                state.bytes -= block.bytes;
                return Some(block.items);
            }
            state = wait_for(&self.work, state, delay.saturating_sub(waited));
        }
    }

    /// `count` more were delivered or lost.
    pub(super) fn settle(&self, count: usize) {
        self.lock().settled += count as u64;
        self.progress.notify_all();
    }

    /// The state of things at the begin of a request.
    pub(super) fn moment(&self) -> Moment {
        let state = self.lock();
        Moment {
            flush: state.flushes,
            stopping: state.stop.is_some(),
        }
    }

    /// Waits after a request that began at `begun` has failed: for as long as the server asks, or
    /// else for `backoff`. Returns whether to try again.
    pub(super) fn pause(&self, begun: Moment, asked: Option<Duration>, backoff: Duration) -> bool {
        let until = Instant::now() + asked.unwrap_or(backoff).min(LONGEST_PAUSE);
        let mut state = self.lock();
        state.refused_flush = begun.flush;
        self.progress.notify_all();
        loop {
            if self.delivery.closed().is_cancelled() {
                return false;
            }
            match state.stop {
                // What the server asks for is waited for, where that is possible.
                Some(deadline) if asked.is_some() && until > deadline => return false,
                // Otherwise there is one more request at the end, and no second one.
                Some(_) if asked.is_none() => return !begun.stopping,
                _ => {}
            }
            if state.flushes > begun.flush {
                if asked.is_none() {
                    return true;
                }
                state.refused_flush = state.flushes;
                self.progress.notify_all();
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            state = wait_for(&self.work, state, left);
        }
    }

    /// Asks for everything that is here by now to be sent at once.
    pub(super) fn begin_flush(&self) -> Ticket {
        let mut state = self.lock();
        state.flushes += 1;
        state.flush_until = state.pushed;
        let ticket = Ticket {
            flush: state.flushes,
            until: state.pushed,
        };
        drop(state);
        self.work.notify_one();
        ticket
    }

    /// Waits until that has happened, or has failed.
    pub(super) fn wait_flushed(&self, ticket: Ticket, deadline: Instant) -> Waited {
        self.wait_until(deadline, |state| {
            if state.settled >= ticket.until {
                Some(Waited::Done)
            } else if state.ended == Some(Ended::Panicked) {
                Some(Waited::Panicked)
            } else if state.refused_flush >= ticket.flush {
                Some(Waited::Refused)
            } else {
                // What is left after the end is lost, and counted as such.
                state.ended.map(|_| Waited::Done)
            }
        })
    }

    /// Asks the thread to send what is left and to end.
    pub(super) fn begin_stop(&self, deadline: Instant) {
        self.lock().stop.get_or_insert(deadline);
        self.work.notify_one();
    }

    /// Waits until the thread has ended.
    pub(super) fn wait_ended(&self, deadline: Instant) -> Waited {
        self.wait_until(deadline, |state| {
            state.ended.map(|ended| match ended {
                Ended::InOrder => Waited::Done,
                Ended::Panicked => Waited::Panicked,
            })
        })
    }

    /// Ends everything at once; the thread notices when it looks here the next time.
    pub(super) fn close(&self) {
        self.delivery.close();
        self.work.notify_one();
    }

    /// The thread is at its end.
    pub(super) fn end(&self, ended: Ended) {
        let mut state = self.lock();
        state.ended = Some(ended);
        let left = std::mem::take(&mut state.blocks);
        drop(state);
        self.progress.notify_all();
        drop(left);
    }

    fn wait_until(
        &self,
        deadline: Instant,
        done: impl Fn(&State<Item>) -> Option<Waited>,
    ) -> Waited {
        let mut state = self.lock();
        loop {
            if let Some(waited) = done(&state) {
                return waited;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Waited::TimedOut;
            }
            state = wait_for(&self.progress, state, left);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<Item>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wait<'lock, State>(
    condition: &Condvar,
    state: MutexGuard<'lock, State>,
) -> MutexGuard<'lock, State> {
    condition
        .wait(state)
        .unwrap_or_else(PoisonError::into_inner)
}

fn wait_for<'lock, State>(
    condition: &Condvar,
    state: MutexGuard<'lock, State>,
    time: Duration,
) -> MutexGuard<'lock, State> {
    condition
        .wait_timeout(state, time)
        .unwrap_or_else(PoisonError::into_inner)
        .0
}
