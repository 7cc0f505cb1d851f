//! A link with a delay, and perhaps with a rate: a proxy that passes on each byte a fixed time after its turn came. It does not
//! lose or mix anything, and does not know what a packet is.

use rustix::net::sockopt::set_socket_recv_buffer_size;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes that are passed on together.
const BLOCK: usize = 16 * 1024;

/// So many blocks of a connection are on their way: who does not read holds up who writes.
const BLOCKS_MAX: usize = 2048;

/// What the kernel takes before a block is read, where there is a rate (bytes): the queue is here, and not there.
const RECEIVE_BUFFER: usize = 256 * 1024;

#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Each way.
    pub delay: Duration,
    /// Bytes a second each way, of all connections together; none: as fast as they come.
    pub rate: Option<u32>,
}

impl Link {
    /// Listens on a port of its own, which is returned, and connects to `port`.
    pub fn to(self, port: u16) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap().port();
        let [up, down] = [(); 2].map(|()| Arc::new(Pipe { link: self, free: Mutex::new(Instant::now()) }));
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let far = TcpStream::connect(("127.0.0.1", port)).unwrap();
                for (from, to, pipe) in [(&near, &far, &up), (&far, &near, &down)] {
                    from.set_nodelay(true).unwrap();
                    if self.rate.is_some() {
                        set_socket_recv_buffer_size(from, RECEIVE_BUFFER).unwrap();
                    }
                    pass(from.try_clone().unwrap(), to.try_clone().unwrap(), Arc::clone(pipe));
                }
            }
        });
        own
    }
}

/// One way of a link, for all its connections.
struct Pipe {
    link: Link,
    /// When the last byte that came will have had its turn.
    free: Mutex<Instant>,
}

impl Pipe {
    /// Bytes came; when they arrive. Returns once they are in the queue, which holds as much as is on its way in a round trip.
    fn queue(&self, n: usize) -> Instant {
        let (Link { delay, rate }, now) = (self.link, Instant::now());
        let Some(rate) = rate else { return now + delay };
        let turn = {
            let mut free = self.free.lock().unwrap();
            *free = now.max(*free) + Duration::from_secs_f64(n as f64 / f64::from(rate));
            *free
        };
        thread::sleep((turn - now).saturating_sub(delay * 2));
        turn + delay
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, pipe: Arc<Pipe>) {
    let (send, due) = sync_channel::<(Instant, Vec<u8>)>(BLOCKS_MAX);
    thread::spawn(move || {
        let mut block = vec![0; BLOCK];
        while let Ok(n @ 1..) = from.read(&mut block) {
            if send.send((pipe.queue(n), block[..n].to_vec())).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        for (at, bytes) in due {
            let left = at.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                thread::sleep(left);
            }
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        let _gone = to.shutdown(Shutdown::Write);
    });
}
