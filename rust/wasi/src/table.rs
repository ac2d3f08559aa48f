//! The guest's table of descriptors.

use crate::abi::{Errno, Result};
use crate::descriptor::Descriptor;

/// The most that a guest may have open at once; the host's own limit may be lower.
const MAX_DESCRIPTORS: usize = 65536;

#[derive(Default)]
pub(crate) struct Table {
    slots: Vec<Option<Descriptor>>,
}

impl Table {
    /// Puts a descriptor at the lowest free number.
    pub fn insert(&mut self, descriptor: Descriptor) -> Result<u32> {
        let free = self
            .slots
            .iter()
            .position(Option::is_none)
            .unwrap_or(self.slots.len());
        if free >= MAX_DESCRIPTORS {
            return Err(Errno::MFILE);
        }
        if free == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[free] = Some(descriptor);
        Ok(free as u32)
    }

    pub fn get(&self, number: u32) -> Result<&Descriptor> {
        self.slots
            .get(number as usize)
            .and_then(Option::as_ref)
            .ok_or(Errno::BADF)
    }

    pub fn get_mut(&mut self, number: u32) -> Result<&mut Descriptor> {
        self.slots
            .get_mut(number as usize)
            .and_then(Option::as_mut)
            .ok_or(Errno::BADF)
    }

    /// The descriptor, if it has the rights that the call needs.
    pub fn with_rights(&self, number: u32, needed: u64) -> Result<&Descriptor> {
        let descriptor = self.get(number)?;
        descriptor.require(needed)?;
        Ok(descriptor)
    }

    /// All that is open.
    pub fn all(&self) -> impl Iterator<Item = &Descriptor> {
        self.slots.iter().flatten()
    }

    pub fn remove(&mut self, number: u32) -> Result<Descriptor> {
        self.slots
            .get_mut(number as usize)
            .and_then(Option::take)
            .ok_or(Errno::BADF)
    }

    /// Moves `from` onto `to`, which must be open and is closed by it.
    pub fn renumber(&mut self, from: u32, to: u32) -> Result {
        self.get(from)?;
        self.get(to)?;
        if from != to {
            self.slots[to as usize] = self.slots[from as usize].take();
        }
        Ok(())
    }
}
