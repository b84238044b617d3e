"""The published schemas as judge of what our adapters send and of what the lab answers.

TrueNAS publishes its API as machine-readable schemas. They are not part of this project: the judge reads them from
`$PYVMISCSI_REFERENCE/nas-data`, repairs what their generators got wrong, and adds the rules they leave out.

    repairs       schema in, schema out: the generators' slips put right
    books         one release's published operations, each with its parameters and its answer
    limits        rules that no published schema holds, with their source
    rows          what stands in for an answer schema that would accept anything
    judge         one question: does this request, this answer, agree with the books?
    exchanges     the lab's log of one test run, judged line by line
    known_bad     requests that judge and lab must both refuse

    >>> judge = Judge.load(Path(os.environ["PYVMISCSI_REFERENCE"]))
    >>> judge.request("jsonrpc", "25.10.0", "iscsi.target.create", [{"name": "Web_1"}])
    (Violation(what='iscsi.target.create', side='request', where='params[0].name', rule='pattern …'),)
"""
