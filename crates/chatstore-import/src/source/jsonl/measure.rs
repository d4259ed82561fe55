//! How long the items of a line are, so that one that is too long is not read into memory.

use std::cell::{Cell, RefCell};
use std::io::{self, Read};
use std::rc::Rc;

/// Maximum size of a turn, and of each other field of a line.
pub(super) const ITEM_MEBIBYTES: u64 = 16;

/// How much was read, and how much of the present item.
#[derive(Debug, Default)]
pub(super) struct Measure {
    pub(super) read: Cell<u64>,
    item_start: Cell<u64>,
    field: RefCell<String>,
    turn: Cell<Option<usize>>,
    pub(super) is_exceeded: Cell<bool>,
}

impl Measure {
    /// Begins a field.
    pub(super) fn begin_field(&self, name: &str) {
        self.item_start.set(self.read.get());
        self.turn.set(None);
        name.clone_into(&mut self.field.borrow_mut());
    }

    /// Begins a turn, the first has the index 0.
    pub(super) fn begin_turn(&self, index: usize) {
        self.item_start.set(self.read.get());
        self.turn.set(Some(index));
    }

    /// What began last.
    pub(super) fn item(&self) -> String {
        self.turn
            .get()
            .map_or_else(|| self.field.borrow().clone(), |index| format!("{}[{index}]", self.field.borrow()))
    }
}

/// Ends with an error in an item that is too long.
pub(super) struct Measured<R> {
    pub(super) input: R,
    pub(super) measure: Rc<Measure>,
}

impl<R: Read> Read for Measured<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Measure { read, item_start, is_exceeded, .. } = &*self.measure;
        if read.get() - item_start.get() > ITEM_MEBIBYTES * 1024 * 1024 {
            is_exceeded.set(true);
            return Err(io::Error::other("an item is too long"));
        }
        let count = self.input.read(buffer)?;
        read.set(read.get() + count as u64);
        Ok(count)
    }
}
