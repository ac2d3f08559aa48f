//! A guest's linear memory as the host sees it: every access is checked against its present size.

use std::marker::PhantomData;

/// The linear memory of an instance, for the time of one host call. It cannot grow meanwhile, for growing is
/// the guest's own doing and the guest waits for the call to return.
pub struct GuestMemory<'call> {
    base: *mut u8,
    length: u64,
    _call: PhantomData<&'call mut [u8]>,
}

impl<'call> GuestMemory<'call> {
    /// Bytes of one's own in the place of a guest's memory.
    pub fn over(bytes: &'call mut [u8]) -> Self {
        GuestMemory {
            base: bytes.as_mut_ptr(),
            length: bytes.len() as u64,
            _call: PhantomData,
        }
    }
}

impl GuestMemory<'_> {
    /// # Safety
    /// `base` is the start of `length` bytes that may be read and written, that stay mapped for the lifetime and
    /// that nothing else refers to meanwhile.
    pub(crate) unsafe fn new(base: *mut u8, length: u64) -> Self {
        GuestMemory {
            base,
            length,
            _call: PhantomData,
        }
    }

    /// Bytes that the guest has now.
    pub fn length_bytes(&self) -> u64 {
        self.length
    }

    /// The host's address of a range of the guest, or `None` where a byte of it lies outside. An empty range is
    /// inside up to the memory's very end. Good until the call returns; for the kernel, which copies for us.
    pub fn host_range(&self, address: u32, length: u32) -> Option<*mut u8> {
        let end = u64::from(address) + u64::from(length);
        if end > self.length {
            return None;
        }
        // SAFETY: address <= end <= length, so the result stays within the memory or one past its end.
        Some(unsafe { self.base.add(address as usize) })
    }

    /// A range as a slice.
    pub fn slice(&self, address: u32, length: u32) -> Option<&[u8]> {
        let start = self.host_range(address, length)?;
        // SAFETY: the range was checked; `self` is borrowed, so nothing writes through it meanwhile.
        Some(unsafe { std::slice::from_raw_parts(start, length as usize) })
    }

    /// A range as a slice to write to.
    pub fn slice_mut(&mut self, address: u32, length: u32) -> Option<&mut [u8]> {
        let start = self.host_range(address, length)?;
        // SAFETY: the range was checked; `self` is borrowed exclusively.
        Some(unsafe { std::slice::from_raw_parts_mut(start, length as usize) })
    }

    /// A copy of `N` bytes.
    pub fn read<const N: usize>(&self, address: u32) -> Option<[u8; N]> {
        let bytes = self.slice(address, u32::try_from(N).ok()?)?;
        bytes.try_into().ok()
    }

    /// The little-endian number at an address.
    pub fn read_u32(&self, address: u32) -> Option<u32> {
        self.read(address).map(u32::from_le_bytes)
    }

    /// Stores bytes; `None` and no change where they do not fit.
    pub fn write(&mut self, address: u32, bytes: &[u8]) -> Option<()> {
        self.slice_mut(address, u32::try_from(bytes.len()).ok()?)?
            .copy_from_slice(bytes);
        Some(())
    }

    /// Stores a little-endian number.
    pub fn write_u32(&mut self, address: u32, value: u32) -> Option<()> {
        self.write(address, &value.to_le_bytes())
    }

    /// Stores a little-endian number.
    pub fn write_u64(&mut self, address: u32, value: u64) -> Option<()> {
        self.write(address, &value.to_le_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_edge_is_checked() {
        let mut backing = [0u8; 64];
        // SAFETY: the array outlives the value and is not touched meanwhile.
        let mut memory = unsafe { GuestMemory::new(backing.as_mut_ptr(), 64) };
        assert!(memory.slice(0, 64).is_some());
        assert!(memory.slice(64, 0).is_some());
        assert!(memory.slice(65, 0).is_none());
        assert!(memory.slice(1, 64).is_none());
        assert!(memory.slice(u32::MAX, u32::MAX).is_none());
        assert!(memory.write_u32(61, 1).is_none());
        assert!(memory.write_u64(56, u64::MAX).is_some());
        assert_eq!(memory.read_u32(60), Some(u32::MAX));
        assert_eq!(memory.read_u32(61), None);
    }
}
