//! Messages from one process to another through tuskd's queue in shared memory: writer on CPU 0, reader on CPU 1.
use std::time::{Duration, Instant};

use shmem_layout::QueueHeader;
use tuskd::ipc::queue::{Queue, Sender};
use tuskd::shmem::RegionSpec;

use super::Measured;
use super::eventfd::EventFd;
use super::peer::{ForkedPeer, Placement};
use super::ping_pong::Doorbell;
use super::world::{VERSION, World};

/// Bytes of ring: what a pipe holds.
const RING: usize = 64 * 1024;

/// A queue with a receiver at its end.
pub struct ShmQueue {
    // Dropped first, before what it uses.
    _receiver: ForkedPeer,
    sender: Sender<'static, 'static>,
    message: Vec<u8>,
    /// Carries to the receiver how many messages are to come.
    announced: EventFd,
    /// Rung by the receiver when it has them all.
    received: EventFd,
}

impl ShmQueue {
    /// For messages of this size.
    pub fn start(message_bytes: usize) -> Self {
        let item = size_of::<QueueHeader>() + RING;
        let mut world = World::new(2, &[RegionSpec::sized("queues", VERSION, item, 1)]);
        let (header, ring) = world.segment().queue("queues", VERSION, 0).expect("the region is planned");
        let queue = Queue::new(header, ring);
        let (we, they) = (world.claim(), world.claim());
        let (announced, received) = (EventFd::new(), EventFd::new());
        let peer = ForkedPeer::spawn(Placement::OtherCore, || {
            let mut receiver = queue.attach_receiver(world.enter(they)).expect("the end is free");
            let mut message = Vec::new();
            loop {
                for _ in 0..announced.take() {
                    receiver.receive(&mut message, None).expect("the sender stays");
                }
                received.ring();
            }
        });
        let sender = queue.attach_sender(world.enter(we)).expect("the end is free");
        Self { _receiver: peer, sender, message: vec![0x5a; message_bytes], announced, received }
    }
}

impl Measured for ShmQueue {
    fn measure(&mut self, iterations: u64) -> Duration {
        self.announced.add(iterations);
        let started = Instant::now();
        for _ in 0..iterations {
            self.sender.send(&self.message, None).expect("the receiver stays");
        }
        self.received.wait();
        started.elapsed()
    }
}
