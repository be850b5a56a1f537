//! The queue by itself, without an exporter.

use std::{sync::Arc, time::Duration};

use super::queue::{Batching, COUNTED_FROM, MOST_BYTES, Queue, Queued};
use crate::{
    delivery::{Delivery, Signal},
    dispatch::UserDispatch,
};

/// An item that says it is as large.
struct Item(usize);

impl Queued for Item {
    fn size(&self) -> usize {
        self.0
    }
}

fn queue() -> Queue<Item> {
    let batching = Batching {
        queue: 10_000,
        batch: 512,
        delay: Duration::ZERO,
    };
    let user = UserDispatch::default();
    let delivery = Delivery::new(Signal::Traces, "nowhere".to_owned(), &user);
    Queue::new(batching, Arc::new(delivery))
}

#[test]
fn a_long_queue_is_bounded_in_bytes() {
    let queue = queue();
    for _ in 0..COUNTED_FROM {
        queue.push(Item(MOST_BYTES));
    }
    assert_eq!(queue.delivery.lost(), 0);
    queue.push(Item(MOST_BYTES - 1));
    queue.push(Item(2));
    assert_eq!(queue.delivery.lost(), 1);
    queue.push(Item(1));
    assert_eq!(queue.delivery.lost(), 1);
    // What leaves it makes room.
    let mut left = 0;
    while left < COUNTED_FROM + 2 {
        left += queue.next().unwrap().len() as u64;
    }
    queue.push(Item(MOST_BYTES));
    assert_eq!(queue.delivery.lost(), 1);
}

#[test]
fn batches_leave_in_the_order_in_which_items_came() {
    let queue = queue();
    for index in 0..1_300 {
        queue.push(Item(index));
    }
    let mut order = Vec::new();
    let mut lengths = Vec::new();
    while order.len() < 1_300 {
        let batch = queue.next().unwrap();
        lengths.push(batch.len());
        order.extend(batch.into_iter().map(|item| item.0));
    }
    assert_eq!(lengths, [512, 512, 276]);
    assert!(order.is_sorted());
}
