"""The unmodified worker against the whole lab: real SSH, REST, SQL, HAProxy and Temporal."""
