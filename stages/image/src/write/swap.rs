//! Swap space: a header in the first page (mkswap(8); `union swap_header` of the kernel's `include/linux/swap.h`).

use uuid::Uuid;

/// Bytes of a page.
const PAGE: u64 = 4096;

/// The first page of swap space of `size` bytes.
pub fn header(size: u64, id: Uuid, label: &str) -> Vec<u8> {
    let mut page = vec![0; PAGE as usize];
    let last = u32::try_from(size / PAGE - 1).unwrap_or(u32::MAX);
    page[1024..1028].copy_from_slice(&1_u32.to_le_bytes());
    page[1028..1032].copy_from_slice(&last.to_le_bytes());
    page[1036..1052].copy_from_slice(id.as_bytes());
    let label = &label.as_bytes()[..label.len().min(15)];
    page[1052..1052 + label.len()].copy_from_slice(label);
    page[4086..].copy_from_slice(b"SWAPSPACE2");
    page
}
