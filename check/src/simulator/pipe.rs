//! A pipe in memory: bytes in order, room for so many, and two ends that close.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use tally_engine::aof::rewrite::{Pipe, Transfer};

#[derive(Debug)]
struct State {
    bytes: VecDeque<u8>,
    capacity: usize,
    /// The reader's end, then the writer's.
    open: [bool; 2],
}

/// One end of a pipe.
#[derive(Debug)]
pub struct PipeEnd {
    state: Rc<RefCell<State>>,
    writes: bool,
}

/// A pipe that holds `capacity` bytes: its reader's end and its writer's.
pub fn pipe(capacity: usize) -> (PipeEnd, PipeEnd) {
    let state = Rc::new(RefCell::new(State { bytes: VecDeque::new(), capacity, open: [true, true] }));
    (PipeEnd { state: Rc::clone(&state), writes: false }, PipeEnd { state, writes: true })
}

impl Pipe for PipeEnd {
    fn try_write(&mut self, bytes: &[u8]) -> Transfer {
        let mut state = self.state.borrow_mut();
        if state.open != [true, true] {
            return Transfer::Ended;
        }
        let room = (state.capacity - state.bytes.len()).min(bytes.len());
        state.bytes.extend(bytes.iter().take(room));
        if room == 0 { Transfer::NotNow } else { Transfer::Moved(room) }
    }

    fn try_read(&mut self, into: &mut [u8]) -> Transfer {
        let mut state = self.state.borrow_mut();
        let count = state.bytes.len().min(into.len());
        for (place, byte) in into.iter_mut().zip(state.bytes.drain(..count)) {
            *place = byte;
        }
        match count {
            0 if state.open != [true, true] => Transfer::Ended,
            0 => Transfer::NotNow,
            _ => Transfer::Moved(count),
        }
    }

    fn close(&mut self) {
        self.state.borrow_mut().open[usize::from(self.writes)] = false;
    }
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        self.close();
    }
}
