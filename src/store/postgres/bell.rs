//! A bell that one task rings and another waits for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

/// Rings when the server notified this session, or the connection ended.
#[derive(Debug, Default)]
pub struct Bell {
    has_rung: AtomicBool,
    waker: AtomicWaker,
}

impl Bell {
    pub fn ring(&self) {
        self.has_rung.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Ready once it has rung, which is then forgotten.
    pub fn poll(&self, context: &Context<'_>) -> Poll<()> {
        self.waker.register(context.waker());
        match self.has_rung.swap(false, Ordering::AcqRel) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}
