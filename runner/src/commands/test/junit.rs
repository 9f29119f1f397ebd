//! The verdicts as JUnit XML, which every CI reads.

use anyhow::Result;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{Suite, Verdict};

/// The document.
pub(super) fn report(suites: &[Suite]) -> Result<String> {
    let mut report = Report::new("runner test");
    for suite in suites {
        let mut of_file = TestSuite::new(suite.file.display().to_string());
        of_file.add_test_cases(suite.verdicts.iter().map(case));
        report.add_test_suite(of_file);
    }
    Ok(report.to_string()?)
}

fn case(verdict: &Verdict) -> TestCase {
    let status = match verdict.passed() {
        true => TestCaseStatus::success(),
        false => {
            let mut failure = TestCaseStatus::non_success(NonSuccessKind::Failure);
            failure.set_message(verdict.differences.join("\n"));
            failure
        }
    };
    let mut case = TestCase::new(verdict.case.as_str(), status);
    case.set_time(verdict.took);
    if !verdict.lines.is_empty() {
        case.set_system_out(verdict.lines.join("\n"));
    }
    case
}
