//! Distances between vectors: EMBEDDINGs, arrays of numbers, and text such as `'[0.1, 0.2]'`.
//!
//! What is added up is a DOUBLE. A NULL vector gives NULL; a vector with a NULL in it and vectors
//! of different lengths are errors; the cosine of a vector without a direction (all zeros) is NaN,
//! which sorts behind all numbers.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// Sums kept side by side, so that a processor adds several numbers at once.
const LANES: usize = 8;

/// What is computed of one vector or two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Measure {
    Cosine,
    CosineSimilarity,
    Euclidean,
    Manhattan,
    InnerProduct,
    NegativeInnerProduct,
    Dimensions,
    Norm,
}

/// Each with the names it goes by.
const FUNCTIONS: [(Measure, &[&str]); 8] = [
    (Measure::Cosine, &["cosine_distance", "array_cosine_distance", "list_cosine_distance"]),
    (
        Measure::CosineSimilarity,
        &["cosine_similarity", "array_cosine_similarity", "list_cosine_similarity"],
    ),
    (Measure::Euclidean, &["l2_distance", "array_distance", "list_distance", "euclidean_distance"]),
    (Measure::Manhattan, &["l1_distance"]),
    (
        Measure::InnerProduct,
        &[
            "inner_product",
            "dot_product",
            "array_inner_product",
            "list_inner_product",
            "array_dot_product",
            "list_dot_product",
        ],
    ),
    (
        Measure::NegativeInnerProduct,
        &["negative_inner_product", "array_negative_inner_product", "list_negative_inner_product"],
    ),
    (Measure::Dimensions, &["vector_dims"]),
    (Measure::Norm, &["l2_norm", "vector_norm"]),
];

/// The functions; some take the place of the engine's own, which know no EMBEDDING.
pub(super) fn functions() -> Vec<ScalarUDF> {
    FUNCTIONS
        .iter()
        .filter_map(|(measure, names)| {
            let (name, aliases) = names.split_first()?;
            Some(ScalarUDF::new_from_impl(OfVectors {
                measure: *measure,
                name,
                aliases: aliases.iter().map(|&alias| alias.to_owned()).collect(),
                signature: Signature::user_defined(Volatility::Immutable),
            }))
        })
        .collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OfVectors {
    measure: Measure,
    name: &'static str,
    aliases: Vec<String>,
    signature: Signature,
}

impl OfVectors {
    fn arguments(&self) -> usize {
        if matches!(self.measure, Measure::Dimensions | Measure::Norm) { 1 } else { 2 }
    }
}

impl ScalarUDFImpl for OfVectors {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        if arg_types.len() != self.arguments() {
            return Err(DataFusionError::Plan(format!(
                "{} takes {} vectors, not {}",
                self.name,
                self.arguments(),
                arg_types.len()
            )));
        }
        if let [DataType::FixedSizeList(_, one), DataType::FixedSizeList(_, two)] = arg_types
            && one != two
        {
            return Err(different(*one as usize, *two as usize));
        }
        arg_types.iter().map(|given| self.readable(given)).collect()
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(match self.measure {
            Measure::Dimensions => DataType::Int64,
            _ => DataType::Float64,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let vectors = args.args.iter().map(Vectors::new).collect::<Result<Vec<_>>>()?;
        let made: ArrayRef = match (self.measure, vectors.as_slice()) {
            (Measure::Dimensions, [one]) => {
                let lengths = (0..rows).map(|row| Ok(one.at(row)?.map(|v| v.len() as i64)));
                Arc::new(lengths.collect::<Result<Int64Array>>()?)
            }
            (Measure::Norm, [one]) => {
                let norms = (0..rows).map(|row| {
                    let vector = one.at(row)?;
                    Ok(vector.map(|v| measured(Measure::InnerProduct, v, v).map(f64::sqrt)))
                });
                let norms = norms.map(|norm: Result<_>| norm?.transpose());
                Arc::new(norms.collect::<Result<Float64Array>>()?)
            }
            (measure, [one, two]) => {
                let values = (0..rows).map(|row| match (one.at(row)?, two.at(row)?) {
                    (Some(one), Some(two)) => measured(measure, one, two).map(Some),
                    _ => Ok(None),
                });
                Arc::new(values.collect::<Result<Float64Array>>()?)
            }
            _ => return Err(DataFusionError::Internal(format!("{} of nothing", self.name))),
        };
        Ok(if constant {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?)
        } else {
            ColumnarValue::Array(made)
        })
    }
}

impl OfVectors {
    /// The type an argument is read in. REALs and DOUBLEs stay what they are.
    fn readable(&self, given: &DataType) -> Result<DataType> {
        let item = |field: &Field| match field.data_type() {
            DataType::Float32 => Some(DataType::Float32),
            DataType::Null => Some(DataType::Float64),
            number if number.is_numeric() => Some(DataType::Float64),
            _ => None,
        };
        let wrong = || {
            DataFusionError::Plan(format!(
                "{} takes vectors: an EMBEDDING, an array of numbers or a text '[1, 2]', not {given}",
                self.name
            ))
        };
        Ok(match given {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => {
                DataType::Utf8
            }
            DataType::FixedSizeList(field, size) => {
                let of = item(field).ok_or_else(wrong)?;
                let field = field.as_ref().clone().with_data_type(of);
                DataType::FixedSizeList(Arc::new(field), *size)
            }
            DataType::List(field) | DataType::LargeList(field) => {
                let of = item(field).ok_or_else(wrong)?;
                DataType::List(Arc::new(field.as_ref().clone().with_data_type(of)))
            }
            _ => return Err(wrong()),
        })
    }
}

/// One vector.
#[derive(Debug, Clone, Copy)]
enum Slice<'a> {
    Reals(&'a [f32]),
    Doubles(&'a [f64]),
}

impl Slice<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Reals(values) => values.len(),
            Self::Doubles(values) => values.len(),
        }
    }
}

/// The vectors of one argument.
struct Vectors {
    /// All their numbers.
    items: ArrayRef,
    place: Place,
    /// One vector for all rows.
    constant: bool,
}

enum Place {
    /// A list array that knows where each begins and ends.
    Lists(ArrayRef),
    /// The same with one length for all.
    Fixed(ArrayRef, usize),
    /// Read from text: bounds by row, none where there is NULL.
    Read(Vec<Option<(usize, usize)>>),
}

impl Vectors {
    fn new(argument: &ColumnarValue) -> Result<Self> {
        let (array, constant) = match argument {
            ColumnarValue::Scalar(value) => (value.to_array()?, true),
            ColumnarValue::Array(array) => (Arc::clone(array), false),
        };
        let (items, place) = match array.data_type() {
            DataType::Utf8 => read_texts(&array)?,
            DataType::FixedSizeList(_, size) => {
                let size = usize::try_from(*size).unwrap_or_default();
                (Arc::clone(array.as_fixed_size_list().values()), Place::Fixed(array, size))
            }
            DataType::List(_) => (Arc::clone(array.as_list::<i32>().values()), Place::Lists(array)),
            other => {
                let message = format!("{other} is read as no vector");
                return Err(DataFusionError::Internal(message));
            }
        };
        Ok(Self { items, place, constant })
    }

    /// The vector of a row; `None` where it is NULL.
    fn at(&self, row: usize) -> Result<Option<Slice<'_>>> {
        let row = if self.constant { 0 } else { row };
        let bounds = match &self.place {
            Place::Read(bounds) => bounds.get(row).copied().flatten(),
            Place::Fixed(array, size) => {
                let start = array.as_fixed_size_list().value_offset(row);
                let start = usize::try_from(start).unwrap_or_default();
                array.is_valid(row).then_some((start, start + size))
            }
            Place::Lists(array) => {
                let offsets = array.as_list::<i32>().value_offsets();
                let bound = |at: usize| usize::try_from(offsets[at]).unwrap_or_default();
                array.is_valid(row).then(|| (bound(row), bound(row + 1)))
            }
        };
        let Some((start, end)) = bounds else { return Ok(None) };
        let items = &self.items;
        if items.null_count() > 0 && (start..end).any(|at| items.is_null(at)) {
            return Err(DataFusionError::Execution(String::from(
                "a vector has no NULL in it, leave such rows out",
            )));
        }
        Ok(Some(match items.data_type() {
            DataType::Float32 => {
                Slice::Reals(&items.as_primitive::<Float32Type>().values()[start..end])
            }
            _ => Slice::Doubles(&items.as_primitive::<Float64Type>().values()[start..end]),
        }))
    }
}

fn read_texts(array: &ArrayRef) -> Result<(ArrayRef, Place)> {
    let mut items = Vec::new();
    let mut bounds = Vec::with_capacity(array.len());
    for text in array.as_string::<i32>() {
        let Some(text) = text else {
            bounds.push(None);
            continue;
        };
        let start = items.len();
        let inner = text.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let inner = inner.ok_or_else(|| no_vector(text))?;
        if !inner.trim().is_empty() {
            for number in inner.split(',') {
                items.push(number.trim().parse::<f64>().map_err(|_| no_vector(text))?);
            }
        }
        bounds.push(Some((start, items.len())));
    }
    Ok((Arc::new(Float64Array::from(items)), Place::Read(bounds)))
}

fn no_vector(text: &str) -> DataFusionError {
    let shown: String = text.chars().take(40).collect();
    DataFusionError::Execution(format!("'{shown}' is no vector, write it as '[0.1, 0.2]'"))
}

fn different(one: usize, two: usize) -> DataFusionError {
    DataFusionError::Execution(format!(
        "the vectors have {one} and {two} dimensions, they must have the same number"
    ))
}

fn measured(measure: Measure, one: Slice<'_>, two: Slice<'_>) -> Result<f64> {
    if one.len() != two.len() {
        return Err(different(one.len(), two.len()));
    }
    Ok(match (one, two) {
        (Slice::Reals(one), Slice::Reals(two)) => of_slices(measure, one, two),
        (Slice::Reals(one), Slice::Doubles(two)) => of_slices(measure, one, two),
        (Slice::Doubles(one), Slice::Reals(two)) => of_slices(measure, one, two),
        (Slice::Doubles(one), Slice::Doubles(two)) => of_slices(measure, one, two),
    })
}

fn of_slices<A, B>(measure: Measure, one: &[A], two: &[B]) -> f64
where
    A: Copy + Into<f64>,
    B: Copy + Into<f64>,
{
    match measure {
        Measure::Cosine => match similarity(one, two) {
            unknown if unknown.is_nan() => unknown,
            known => 1.0 - known,
        },
        Measure::CosineSimilarity => similarity(one, two),
        Measure::Euclidean => sum(one, two, |a, b| (a - b) * (a - b)).sqrt(),
        Measure::Manhattan => sum(one, two, |a, b| (a - b).abs()),
        Measure::NegativeInnerProduct => -sum(one, two, |a, b| a * b),
        Measure::InnerProduct | Measure::Dimensions | Measure::Norm => sum(one, two, |a, b| a * b),
    }
}

/// Between -1 and 1, whatever rounding did; NaN when one has no direction.
fn similarity<A, B>(one: &[A], two: &[B]) -> f64
where
    A: Copy + Into<f64>,
    B: Copy + Into<f64>,
{
    let product = sum(one, two, |a, b| a * b);
    let lengths = sum(one, one, |a, b| a * b).sqrt() * sum(two, two, |a, b| a * b).sqrt();
    let similarity = product / lengths;
    // A NaN that is computed may have a sign, and sort before all numbers.
    if similarity.is_nan() { f64::NAN } else { similarity.clamp(-1.0, 1.0) }
}

fn sum<A, B>(one: &[A], two: &[B], of: impl Fn(f64, f64) -> f64) -> f64
where
    A: Copy + Into<f64>,
    B: Copy + Into<f64>,
{
    let mut sums = [0.0; LANES];
    let (ones, twos) = (one.chunks_exact(LANES), two.chunks_exact(LANES));
    let rest = ones.remainder().iter().zip(twos.remainder());
    let rest: f64 = rest.map(|(a, b)| of((*a).into(), (*b).into())).sum();
    for (ones, twos) in ones.zip(twos) {
        for lane in 0..LANES {
            sums[lane] += of(ones[lane].into(), twos[lane].into());
        }
    }
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_are_those_of_the_books() {
        let one: Vec<f32> = (0..19).map(|n| n as f32).collect();
        let two: Vec<f64> = (0..19).map(|n| f64::from(n * n % 7)).collect();
        let plain = |of: fn(f64, f64) -> f64| -> f64 {
            one.iter().zip(&two).map(|(a, b)| of(f64::from(*a), *b)).sum()
        };
        let dot = plain(|a, b| a * b);
        assert_eq!(of_slices(Measure::InnerProduct, &one, &two), dot);
        assert_eq!(of_slices(Measure::NegativeInnerProduct, &one, &two), -dot);
        assert_eq!(of_slices(Measure::Manhattan, &one, &two), plain(|a, b| (a - b).abs()));
        let euclid = plain(|a, b| (a - b) * (a - b)).sqrt();
        assert!((of_slices(Measure::Euclidean, &one, &two) - euclid).abs() < 1e-12);
        assert!(of_slices(Measure::Cosine, &one, &one).abs() < 1e-12);
        let without = of_slices(Measure::Cosine, &[0.0_f32], &[1.0_f32]);
        assert!(without.is_nan() && without.is_sign_positive());
    }

    #[test]
    fn texts_are_vectors_or_refused() {
        let texts: ArrayRef =
            Arc::new(arrow::array::StringArray::from(vec![Some("[1, 2.5]"), None, Some(" [] ")]));
        let vectors = Vectors::new(&ColumnarValue::Array(texts)).unwrap();
        assert_eq!(vectors.at(0).unwrap().unwrap().len(), 2);
        assert!(vectors.at(1).unwrap().is_none());
        assert_eq!(vectors.at(2).unwrap().unwrap().len(), 0);
        for text in ["", "1,2", "[1,]", "[a]", "[1"] {
            let wrong: ArrayRef = Arc::new(arrow::array::StringArray::from(vec![text]));
            assert!(Vectors::new(&ColumnarValue::Array(wrong)).is_err(), "{text}");
        }
    }
}
