//! All cases of the suites, and that none of them was forgotten: each is the
//! origin of a row, named at a test, or in one of the two lists below.

use std::collections::BTreeSet;
use std::path::Path;

use crate::{calls, configurations, conversations, process, requests, responses, runners};

/// APISIX's tests have numbers, from 1 to this one.
const NUMBERED: [(&str, u32); 7] = [
    ("APISIX conf_token", 2),
    ("APISIX extra-info", 11),
    ("APISIX http-req-call", 31),
    ("APISIX request-body", 5),
    ("APISIX response", 16),
    ("APISIX sanity", 22),
    ("APISIX sanity2", 1),
];

/// The others have names; a suite, and its cases with blanks between them.
const NAMED: [(&str, &str); 13] = [
    (
        "Go",
        "TestPrepareConf TestPrepareConfUnknownPlugin TestPrepareConfBadConf \
        TestPrepareConfConcurrentlyWithoutKey TestPrepareConfConcurrentlyWithTheSameKey \
        TestPrepareConfConcurrentlyWithTheDifferentKey TestGetRuleConf TestGetRuleConfCheckConf \
        TestHTTPReqCall TestHTTPReqCall_FailedToParseConf TestRegisterPlugin \
        TestRegisterPluginConcurrent TestRequestFilter \
        TestRequestFilter_SetRespHeaderDoNotBreakReq TestRequestFilter_SetRespHeader \
        TestHTTPRespCall TestHTTPRespCall_FailedToParseConf TestResponseFilter TestSrcIp \
        TestMethod TestPath TestHeader TestArgs TestVar TestVar_FailedToSendExtraInfoReq \
        TestVar_FailedToReadExtraInfoResp TestContext TestRespHeader TestBody TestResponse_ID \
        TestResponse_ConfToken TestResponse_StatusCode TestResponse_WriteHeader \
        TestResponse_TwiceWriteHeader TestResponse_Header TestResponse_Write TestResponse_Var \
        TestResponse_Var_FailedToSendExtraInfoReq TestResponse_FailedToReadExtraInfoResp TestRead \
        TestFetchChanges TestFetchChangesEmptyResponse TestFetchChangesStatusOnly \
        TestWriteHeaderTwice TestReportErrorCacheToken TestReportErrorUnknownType \
        TestReportErrorUnknownErr TestGetSockAddr TestGetConfCacheTTL \
        TestDispatchRPC_UnknownType TestDispatchRPC_KnownType TestDispatchRPC_OutTooLarge TestRun \
        TestReadAndWriteBytes TestVersion TestFaultInjection TestFaultInjection_Percentage \
        TestLimitReq TestLimitReq_YouShouldNotPass TestRequestBodyRewrite_ParseConf \
        TestRequestBodyRewrite_RequestFilter TestResponseRewrite TestResponseRewrite_BadConf \
        TestResponseRewrite_ConfEmpty TestResponseRewrite_ReplaceGlobal \
        TestResponseRewrite_ReplaceOnce TestSay TestSay_BadConf TestSay_NoBody",
    ),
    (
        "Go e2e",
        "fault-injection limit-req request-body-rewrite response-rewrite say",
    ),
    (
        "Java decoder",
        "empty-data unsupported-type error-length-1 error-length-2 error-length-3 get-body \
        wrong-length over-256",
    ),
    (
        "Java encoder",
        "error-1 error-2 prepare-conf-1 prepare-conf-2 response none rewrite stop mix \
        more-headers-and-args more-stop-headers over-256 stop-without-status null-keys",
    ),
    (
        "Java conf-handler",
        "add order skip-duplicate undefined-filter fetch-more-times",
    ),
    (
        "Java call-handler",
        "token-not-found filter-and-config request-params stop",
    ),
    ("Java extra-info", "vars body vars-in-filter"),
    ("Java post-filter", "doPostFilter"),
    ("Java post-response", "charset without-charset"),
    ("Java stop-demo", "config-string name"),
    ("Java e2e", "stop rewrite post post-with-vars"),
    (
        "Python",
        "test_request_unknown_handler test_request_config_handler test_request_call_handler \
        test_request_handler test_response_call_handler test_response_handler test_cache \
        test_generate_token test_set_config_by_token test_get_config_by_token \
        test_process_register test_process_execute test_base test_config_default \
        test_config_custom test_dispatch_unknown test_dispatch_config test_dispatch_call \
        test_logger test_protocol_encode test_protocol_decode test_response_code \
        test_response_message test_response_data test_response_type test_response_eq test_server \
        test_rpc_request test_get_method_code_by_name test_get_method_name_by_code \
        test_new_builder test_create_dict_entry test_create_dict_vector test_create_str_vector \
        test_get_vector_object test_parse_dict_vector test_parse_list_vector",
    ),
    ("Python e2e", "stop rewrite"),
];

/// Cases that say nothing about a runner of this kind, and why.
pub(crate) const NOT_APPLICABLE: &[(&str, &str)] = &[
    (
        "APISIX conf_token 1; APISIX extra-info 1, 6; \
        APISIX http-req-call 1, 8, 10, 12, 14, 16, 21, 23, 27, 29; APISIX request-body 1; \
        APISIX response 1, 7, 9, 11, 13; APISIX sanity 1, 9, 16, 18, 19, 21",
        "they set up a route, or take it away, for the test that follows",
    ),
    (
        "APISIX http-req-call 22",
        "the gateway's own tracing of a stopped request; to the runner it is test 2",
    ),
    (
        "APISIX http-req-call 24",
        "the gateway's own cache of headers; the runner gets the call of test 3",
    ),
    (
        "APISIX response 12, 14, 16",
        "the gateway calls its upstream itself, and fails before it asks the runner, or asks \
        it nothing about the target",
    ),
    (
        "APISIX sanity 3, 4",
        "a runner that sends torn frames. This one must not: every test here fails on one",
    ),
    (
        "APISIX sanity 5",
        "there is no runner: what the gateway does then is tested with the harness",
    ),
    (
        "APISIX sanity 6, 7, 8, 15",
        "the gateway starts a process, starts it again and forgets its tokens",
    ),
    (
        "APISIX sanity 14",
        "the gateway refuses a route whose conf has no name or no value",
    ),
    (
        "Go TestRegisterPlugin, TestRegisterPluginConcurrent; Python test_process_register; \
        Java stop-demo name",
        "plugins are not registered by code: they are files, named by their stems",
    ),
    (
        "Go TestContext",
        "filters see no context; their time is limited by limits.handler_ms and gateway_ms",
    ),
    (
        "Go TestFaultInjection_Percentage, TestLimitReq, TestLimitReq_YouShouldNotPass; \
        Go e2e limit-req",
        "sample plugins that need chance, or memory between calls: an instance lives for one call",
    ),
    (
        "Go TestResponseRewrite_ReplaceGlobal, TestResponseRewrite_ReplaceOnce; \
        Java stop-demo config-string",
        "the sample plugin's own text processing: regular expressions, numbers in JSON",
    ),
    (
        "Java post-response charset",
        "set-body takes bytes; no text is encoded behind the filter's back",
    ),
    (
        "Python test_generate_token, test_base, test_rpc_request, test_response_code, \
        test_response_message, test_response_data, test_response_type, test_response_eq, \
        test_new_builder, test_create_dict_entry, test_create_str_vector, test_get_vector_object",
        "values of the implementation that never leave the process as such",
    ),
];

/// Cases that have a test elsewhere: its file and its name.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    (
        "APISIX sanity 12",
        "tests/request_phase.rs",
        "the_gateway_should_recover_from_a_restart_of_the_runner",
    ),
    (
        "APISIX sanity2 1",
        "tests/lifecycle.rs",
        "a_signal_should_end_it_in_time_and_remove_the_socket",
    ),
    (
        "Go TestGetRuleConf",
        "runner/src/conf_cache.rs",
        "a_configuration_should_live_for_its_time_from_its_last_use",
    ),
    (
        "Go TestReportErrorUnknownErr",
        "tests/python_runner.rs",
        "a_filter_that_fails_should_not_let_the_request_pass",
    ),
    (
        "Go TestGetSockAddr",
        "runner/src/config/checked.rs",
        "the_address_should_come_from_the_first_that_names_one",
    ),
    (
        "Go TestRun",
        "tests/lifecycle.rs",
        "the_gateways_workers_should_be_able_to_connect",
    ),
    (
        "Go TestReadAndWriteBytes",
        "tests/hostile_wire.rs",
        "a_call_in_single_bytes_and_two_calls_in_one_write_should_be_served",
    ),
    (
        "Go TestVersion",
        "tests/command_line.rs",
        "the_version_should_name_what_advisories_name",
    ),
    (
        "Python test_request_call_handler, test_dispatch_call",
        "tests/python_runner.rs",
        "id_0_should_be_filtered_like_any_other",
    ),
    (
        "Go TestGetConfCacheTTL",
        "runner/src/config/checked.rs",
        "a_configuration_should_live_twice_what_the_gateway_names",
    ),
    (
        "Python test_protocol_encode, test_protocol_decode",
        "tests/captured_frames.rs",
        "every_captured_frame_should_be_accepted",
    ),
];

/// What tests that are no tables say above their names.
const AT_TESTS: [&str; 6] = [
    include_str!("calls.rs"),
    include_str!("configurations.rs"),
    include_str!("conversations.rs"),
    include_str!("process.rs"),
    include_str!("requests.rs"),
    include_str!("runners.rs"),
];

/// `Go A, B; Java c` is three cases.
fn cases(from: &str) -> Vec<String> {
    let mut cases = vec![];
    for of_one_suite in from.split("; ") {
        let mut names = of_one_suite.split(", ").map(str::trim);
        let first = names.next().unwrap_or_default();
        let suite = first.rsplit_once(' ').map_or("", |(suite, _)| suite);
        cases.push(first.to_owned());
        cases.extend(names.map(|name| format!("{suite} {name}")));
    }
    cases
}

/// The origins written above tests: from a line that begins with a suite's
/// name to the end of the comment.
fn at_tests(source: &str) -> String {
    let mut found = vec![];
    let mut inside = false;
    for line in source.lines() {
        let comment = line.strip_prefix("/// ").unwrap_or_default();
        let begins = ["APISIX ", "Go ", "Java ", "Python "]
            .iter()
            .any(|suite| comment.starts_with(suite));
        inside = !comment.is_empty() && (inside || begins);
        if inside {
            found.push(comment);
        } else if line.starts_with("#[test]") && found.last().is_some_and(|last| *last != ";") {
            found.push(";");
        }
    }
    let joined = found.join(" ").replace(" ;", ";");
    joined.trim_end_matches(';').to_owned()
}

fn origins() -> Vec<String> {
    let mut origins: Vec<String> = AT_TESTS.iter().map(|source| at_tests(source)).collect();
    let mut add = |from: &str| origins.push(from.to_owned());
    let requests = [
        requests::http_req_call(),
        requests::bodies_and_sanity(),
        runners::from_go(),
        runners::from_java_and_python(),
    ];
    requests.iter().flatten().for_each(|row| add(row.from));
    let responses = [responses::from_apisix(), responses::from_go_and_java()];
    responses.iter().flatten().for_each(|row| add(row.from));
    calls::bytes().iter().for_each(|row| add(row.from));
    configurations::TOKENS.iter().for_each(|row| add(row.from));
    conversations::CONVERSATIONS
        .iter()
        .for_each(|row| add(row.from));
    conversations::GONE.iter().for_each(|row| add(row.from));
    process::STARTS.iter().for_each(|row| add(row.from));
    process::LEVELS.iter().for_each(|row| add(row.from));
    ELSEWHERE.iter().for_each(|(case, ..)| add(case));
    origins
}

fn all() -> BTreeSet<String> {
    let numbered = NUMBERED
        .iter()
        .flat_map(|(suite, last)| (1..=*last).map(move |number| format!("{suite} {number}")));
    let named = NAMED.iter().flat_map(|(suite, names)| {
        names
            .split_whitespace()
            .map(move |name| format!("{suite} {name}"))
    });
    numbered.chain(named).collect()
}

#[test]
fn every_case_should_have_a_row_or_a_reason() {
    let all = all();
    let split = |from: &str| {
        let cases = cases(from).into_iter();
        cases.filter(|case| !case.is_empty()).collect::<Vec<_>>()
    };
    let applying: BTreeSet<String> = origins().iter().flat_map(|from| split(from)).collect();
    let reasons: BTreeSet<String> = NOT_APPLICABLE
        .iter()
        .flat_map(|(from, _)| split(from))
        .collect();
    let known: BTreeSet<String> = applying.union(&reasons).cloned().collect();
    let forgotten: Vec<_> = all.difference(&known).collect();
    assert!(forgotten.is_empty(), "no row and no reason: {forgotten:#?}");
    let invented: Vec<_> = known.difference(&all).collect();
    assert!(invented.is_empty(), "no such case: {invented:#?}");
    let both: Vec<_> = applying.intersection(&reasons).collect();
    assert!(both.is_empty(), "a row and a reason not to: {both:#?}");
}

#[test]
fn every_test_elsewhere_should_be_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (case, file, name) in ELSEWHERE {
        let text = std::fs::read_to_string(root.join(file)).unwrap_or_default();
        assert!(text.contains(name), "{case}: {name} is not in {file}");
    }
}
