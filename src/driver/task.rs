//! Many tasks on the loop's thread: each is a future, woken by what it waits for, an answer or a time.
//!
//! Tasks that wait look for themselves when they are woken, so that waking one too often does no harm. Nothing here knows what
//! is waited for, nor reads a clock: whoever owns the loop runs the tasks in its turns.

use core::cell::{Cell, RefCell};
use core::cmp::Reverse;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use slab::Slab;
use std::collections::{BTreeMap, VecDeque};
use std::rc::{Rc, Weak};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Wake;
use std::time::Instant;

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Numbers of tasks that have something to do, each at most once.
#[derive(Debug, Default)]
struct Ready(Mutex<VecDeque<usize>>);

impl Ready {
    fn push(&self, task: usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(task);
    }

    fn pop(&self) -> Option<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// Wakes the task of a number. Once that has ended, another may have its number: it looks, and finds nothing to do.
struct Woken {
    task: usize,
    ready: Arc<Ready>,
    /// It has not run since it was woken.
    is_ready: AtomicBool,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        if !self.is_ready.swap(true, Ordering::Relaxed) {
            self.ready.push(self.task);
        }
    }
}

/// What is started, and not taken up by [`Tasks::run`] yet.
#[derive(Clone, Default)]
pub(crate) struct Starter(Rc<RefCell<Vec<Task>>>);

impl Starter {
    /// Starts a task.
    pub(crate) fn start(&self, task: impl Future<Output = ()> + 'static) {
        self.0.borrow_mut().push(Box::pin(task));
    }
}

/// All tasks.
#[derive(Default)]
pub(crate) struct Tasks {
    tasks: Slab<(Task, Arc<Woken>, Waker)>,
    ready: Arc<Ready>,
    started: Starter,
}

impl Tasks {
    pub(crate) fn starter(&self) -> Starter {
        self.started.clone()
    }

    /// Runs what can be run, until everything waits.
    pub(crate) fn run(&mut self) {
        loop {
            for task in self.started.0.take() {
                let slot = self.tasks.vacant_entry();
                let (task_number, ready) = (slot.key(), Arc::clone(&self.ready));
                let woken = Arc::new(Woken { task: task_number, ready, is_ready: AtomicBool::new(false) });
                let waker = Waker::from(Arc::clone(&woken));
                waker.wake_by_ref();
                slot.insert((task, woken, waker));
            }
            let Some(number) = self.ready.pop() else { return };
            let Some((task, woken, waker)) = self.tasks.get_mut(number) else { continue };
            woken.is_ready.store(false, Ordering::Relaxed);
            if task.as_mut().poll(&mut Context::from_waker(waker)).is_ready() {
                drop(self.tasks.remove(number));
            }
        }
    }

    /// Whether every task has ended.
    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.started.0.borrow().is_empty()
    }
}

/// Tasks that wait for something that happens once in a while; all are woken then, and look for themselves.
#[derive(Debug, Default)]
pub(crate) struct Waiting(RefCell<Vec<Waker>>);

impl Waiting {
    pub(crate) fn wait(&self, cx: &Context<'_>) {
        self.0.borrow_mut().push(cx.waker().clone());
    }

    /// Whether there was one.
    pub(crate) fn wake(&self) -> bool {
        let waiting = self.0.take();
        let any = !waiting.is_empty();
        waiting.into_iter().for_each(Waker::wake);
        any
    }
}

/// Tasks that wait for a time.
#[derive(Debug)]
pub(crate) struct Timers {
    now: Cell<Instant>,
    sleeping: RefCell<Vec<(Instant, Waker)>>,
}

impl Timers {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { now: Cell::new(now), sleeping: RefCell::new(Vec::new()) }
    }

    /// The time of this turn.
    pub(crate) fn now(&self) -> Instant {
        self.now.get()
    }

    /// It is `now`: wakes whoever waits for no more than that, and says when the next is due.
    pub(crate) fn handle_timeout(&self, now: Instant) -> Option<Instant> {
        self.now.set(now);
        let mut sleeping = self.sleeping.borrow_mut();
        sleeping.extract_if(.., |(until, _)| *until <= now).for_each(|(_, waker)| waker.wake());
        sleeping.iter().map(|(until, _)| *until).min()
    }

    /// Whether it is `until`; otherwise the task is woken then.
    pub(crate) fn is_over(&self, until: Instant, cx: &Context<'_>) -> bool {
        let over = until <= self.now.get();
        let mut sleeping = self.sleeping.borrow_mut();
        if !over && !sleeping.iter().any(|(at, waker)| *at == until && waker.will_wake(cx.waker())) {
            sleeping.push((until, cx.waker().clone()));
        }
        over
    }

    #[cfg(test)]
    pub(crate) fn waited_for(&self) -> usize {
        self.sleeping.borrow().len()
    }

    pub(crate) async fn sleep_until(&self, until: Instant) {
        core::future::poll_fn(|cx| if self.is_over(until, cx) { Poll::Ready(()) } else { Poll::Pending })
            .await;
    }
}

/// Lets the other tasks run that can.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    core::future::poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// So many may do something at a time. A permit that comes back goes to one of those who wait, and only that one is woken.
#[derive(Debug)]
pub(crate) struct Permits {
    free: Cell<usize>,
    waiting: RefCell<BTreeMap<Turn, Weak<Place>>>,
    came: Cell<u64>,
}

/// A rank, the highest first, and who came first.
type Turn = (Reverse<usize>, u64);

/// The right to do it, until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit(Rc<Permits>);

/// Where a permit is put for who waits. If nobody comes for it, it goes on to the next.
#[derive(Debug, Default)]
struct Place {
    permit: RefCell<Option<Permit>>,
    waker: RefCell<Option<Waker>>,
}

impl Permits {
    pub(crate) fn new(count: usize) -> Rc<Self> {
        Rc::new(Self { free: Cell::new(count), waiting: RefCell::default(), came: Cell::new(0) })
    }

    pub(crate) async fn take(self: &Rc<Self>) -> Permit {
        self.take_ranked(0).await
    }

    /// The same before all who wait with a lower rank.
    pub(crate) async fn take_ranked(self: &Rc<Self>, rank: usize) -> Permit {
        if let Some(permit) = self.try_take() {
            return permit;
        }
        let place = Rc::new(Place::default());
        let came = self.came.replace(self.came.get() + 1);
        self.waiting.borrow_mut().insert((Reverse(rank), came), Rc::downgrade(&place));
        core::future::poll_fn(|cx| match place.permit.take() {
            Some(permit) => Poll::Ready(permit),
            None => {
                *place.waker.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
        })
        .await
    }

    /// Nobody waits when one is free.
    pub(crate) fn try_take(self: &Rc<Self>) -> Option<Permit> {
        let left = self.free.get().checked_sub(1)?;
        self.free.set(left);
        Some(Permit(Rc::clone(self)))
    }

    fn first(&self) -> Option<Rc<Place>> {
        let mut waiting = self.waiting.borrow_mut();
        core::iter::from_fn(|| waiting.pop_first()).find_map(|(_, place)| place.upgrade())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        match self.0.first() {
            Some(place) => {
                *place.permit.borrow_mut() = Some(Self(Rc::clone(&self.0)));
                if let Some(waker) = place.waker.take() {
                    waker.wake();
                }
            }
            None => self.0.free.set(self.0.free.get() + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    #[test]
    fn a_task_runs_once_however_often_it_was_woken_meanwhile() {
        let (mut tasks, often) = (Tasks::default(), Rc::new(Waiting::default()));
        let polled = Rc::new(Cell::new(0));
        let (theirs, count) = (Rc::clone(&often), Rc::clone(&polled));
        tasks.starter().start(core::future::poll_fn(move |cx| {
            count.set(count.get() + 1);
            theirs.wait(cx);
            theirs.wait(cx);
            Poll::Pending
        }));
        tasks.run();
        for round in 1..20 {
            assert_eq!(polled.get(), round);
            assert!(often.wake());
            tasks.run();
        }
    }

    #[test]
    fn tasks_run_until_they_wait_and_no_more_than_are_permitted() {
        let mut tasks = Tasks::default();
        let (permits, gate, most) =
            (Permits::new(2), Rc::new(Waiting::default()), Rc::new(Cell::new((0, 0))));
        let open = Rc::new(Cell::new(false));
        for _ in 0..10 {
            let (permits, gate, most, open) = (permits.clone(), gate.clone(), most.clone(), open.clone());
            tasks.starter().start(async move {
                let permit = permits.take().await;
                let (now, max) = most.get();
                most.set((now + 1, max.max(now + 1)));
                core::future::poll_fn(|cx| {
                    if open.get() {
                        return Poll::Ready(());
                    }
                    gate.wait(cx);
                    Poll::Pending
                })
                .await;
                most.set((most.get().0 - 1, most.get().1));
                drop(permit);
            });
        }
        tasks.run();
        assert_eq!(most.get(), (2, 2));
        assert!(!tasks.is_empty());
        open.set(true);
        assert!(gate.wake());
        tasks.run();
        assert_eq!(most.get(), (0, 2));
        assert!(tasks.is_empty() && !gate.wake());
    }

    #[test]
    fn a_permit_wakes_one_task_the_highest_rank_and_then_who_came_first() {
        let (mut tasks, permits) = (Tasks::default(), Permits::new(1));
        let (turns, polled) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Cell::new(0)));
        let mut held = permits.try_take();
        for (n, rank) in [0, 2, 1, 2, 0].into_iter().enumerate() {
            let (permits, turns, polled) = (Rc::clone(&permits), Rc::clone(&turns), Rc::clone(&polled));
            tasks.starter().start(async move {
                let mut take = core::pin::pin!(permits.take_ranked(rank));
                let permit = core::future::poll_fn(|cx| {
                    polled.set(polled.get() + 1);
                    take.as_mut().poll(cx)
                });
                let permit = permit.await;
                turns.borrow_mut().push((n, permit));
            });
        }
        tasks.run();
        assert_eq!(polled.get(), 5);
        for turn in [1, 3, 2, 0, 4] {
            drop(held.take());
            tasks.run();
            let (who, permit) = turns.borrow_mut().pop().unwrap();
            assert_eq!((who, turns.borrow().len()), (turn, 0));
            held = Some(permit);
        }
        assert_eq!(polled.get(), 10, "each once to wait, and once for its turn");
    }

    #[test]
    fn a_permit_for_who_does_not_want_it_any_more_is_the_next_ones() {
        let permits = Permits::new(1);
        let (cx, held) = (&mut Context::from_waker(Waker::noop()), permits.try_take());
        let mut waiting: Vec<_> = (0..4).map(|_| Box::pin(permits.take())).collect();
        assert!(waiting.iter_mut().all(|take| take.as_mut().poll(cx).is_pending()));
        drop(waiting.remove(0)); // before it has one
        drop(held);
        drop(waiting.remove(0)); // it has one, and was not asked yet
        let Poll::Ready(permit) = waiting.remove(0).as_mut().poll(cx) else { panic!() };
        assert!(permits.try_take().is_none() && waiting[0].as_mut().poll(cx).is_pending());
        drop(waiting);
        drop(permit);
        assert!(permits.try_take().is_some() && permits.free.get() == 1);
    }

    #[test]
    fn a_task_sleeps_until_its_time_and_is_kept_once_however_often_it_looks() {
        let begin = Instant::now();
        let (timers, mut tasks) = (Rc::new(Timers::new(begin)), Tasks::default());
        let (often, slept) = (Rc::new(Waiting::default()), Rc::new(Cell::new(false)));
        let (own, theirs, done) = (Rc::clone(&timers), Rc::clone(&often), Rc::clone(&slept));
        let until = begin + Duration::from_secs(3);
        tasks.starter().start(async move {
            core::future::poll_fn(|cx| {
                theirs.wait(cx);
                if own.is_over(until, cx) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            done.set(true);
        });
        for second in 0..3 {
            tasks.run();
            assert_eq!(timers.handle_timeout(begin + Duration::from_secs(second)), Some(until));
            assert!(!slept.get() && often.wake());
        }
        tasks.run();
        assert_eq!(timers.waited_for(), 1);
        assert_eq!(timers.handle_timeout(until), None);
        tasks.run();
        assert!(slept.get() && tasks.is_empty());
    }
}
