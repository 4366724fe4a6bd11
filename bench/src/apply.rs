use crate::Fallible;
pub(crate) fn measure() -> Fallible {
    Ok(())
}
