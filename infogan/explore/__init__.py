"""`infogan explore`: a page on which a run's codes are moved by hand and Q's reading is watched.

`explorer` answers the page's questions in plain dictionaries, `pictures` takes files that anybody may have made,
`server` is HTTP and who may speak it, `static/` is the page.
"""
