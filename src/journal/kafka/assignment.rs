//! What a member of a group was given to read, as Kafka's consumer protocol writes it.

/// The partitions of `topic` in what a member was given: a version, and for each
/// topic its name and its partitions. None when it is something else.
pub(super) fn given(assignment: &[u8], topic: &str) -> Option<Vec<i32>> {
    let mut rest = assignment;
    let mut found = Vec::new();
    let _version = take::<2>(&mut rest)?;
    for _ in 0..count(&mut rest)? {
        let length = usize::try_from(i16::from_be_bytes(take(&mut rest)?)).ok()?;
        let (name, behind) = rest.split_at_checked(length)?;
        rest = behind;
        for _ in 0..count(&mut rest)? {
            let partition = i32::from_be_bytes(take(&mut rest)?);
            if name == topic.as_bytes() {
                found.push(partition);
            }
        }
    }
    Some(found)
}

fn count(rest: &mut &[u8]) -> Option<u32> {
    u32::try_from(i32::from_be_bytes(take(rest)?)).ok()
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_read_and_garbage_is_not() {
        let topic = |name: &str, partitions: &[i32]| {
            let mut bytes = i16::try_from(name.len()).unwrap().to_be_bytes().to_vec();
            bytes.extend(name.as_bytes());
            bytes.extend(i32::try_from(partitions.len()).unwrap().to_be_bytes());
            bytes.extend(partitions.iter().flat_map(|partition| partition.to_be_bytes()));
            bytes
        };
        let mut whole = vec![0, 1, 0, 0, 0, 2];
        whole.extend(topic("other", &[7]));
        whole.extend(topic("orders", &[2, 0]));
        whole.extend([0xff; 4]);
        assert_eq!(given(&whole, "orders"), Some(vec![2, 0]));
        assert_eq!(given(&whole, "order"), Some(vec![]));
        assert_eq!(given(&[0, 1, 0, 0, 0, 0, 0, 0, 0, 0], "orders"), Some(vec![]), "a member with nothing");
        for end in 0..whole.len() - 4 {
            assert_eq!(given(&whole[..end], "orders"), None, "{end} bytes");
        }
        assert_eq!(given(&[0xff; 64], "orders"), None);
        assert_eq!(given(&[0x7f; 64], "orders"), None);
    }
}
