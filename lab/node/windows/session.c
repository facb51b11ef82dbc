/* What OpenSSH for Windows does with one command of a session without a terminal.

   The command line stands in the environment, since a command line that a Unix program gives to wine
   is quoted once more. It goes to cmd.exe as it is. cmd.exe belongs to a job and holds the only handle
   of it: what it has started ends with it, whatever becomes of the client. */

#include <windows.h>

#define LONGEST 8191 /* characters, cmd.exe's own limit */

static int refused(const char *why) {
    DWORD written;
    WriteFile(GetStdHandle(STD_ERROR_HANDLE), why, lstrlenA(why), &written, NULL);
    return 1;
}

static HANDLE job_of_its_own(HANDLE process) {
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = {0};
    HANDLE job = CreateJobObjectW(NULL, NULL);
    limits.BasicLimitInformation.LimitFlags =
        JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | JOB_OBJECT_LIMIT_BREAKAWAY_OK;
    SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limits, sizeof limits);
    return AssignProcessToJobObject(job, process) ? job : NULL;
}

int wmain(void) {
    static WCHAR given[2 * LONGEST], line[3 * LONGEST];
    STARTUPINFOW startup = {.cb = sizeof startup};
    PROCESS_INFORMATION cmd;
    HANDLE job, its_own;
    DWORD code, length = GetEnvironmentVariableW(L"SSH_COMMAND_LINE", given, 2 * LONGEST);

    if (length > LONGEST)
        return refused("The command line is too long.\r\n");
    SetEnvironmentVariableW(L"SSH_COMMAND_LINE", NULL);
    lstrcpyW(line, L"\"C:\\windows\\system32\\cmd.exe\" /c \"");
    lstrcatW(line, given);
    lstrcatW(line, L"\"");
    if (!CreateProcessW(NULL, line, NULL, NULL, TRUE, CREATE_SUSPENDED, NULL, NULL, &startup, &cmd))
        return refused("cmd.exe cannot be started\r\n");
    if (!(job = job_of_its_own(cmd.hProcess)) ||
        !DuplicateHandle(GetCurrentProcess(), job, cmd.hProcess, &its_own, 0, FALSE,
                         DUPLICATE_SAME_ACCESS)) {
        TerminateProcess(cmd.hProcess, 1);
        return refused("cmd.exe has no job\r\n");
    }
    CloseHandle(job);
    ResumeThread(cmd.hThread);
    WaitForSingleObject(cmd.hProcess, INFINITE);
    GetExitCodeProcess(cmd.hProcess, &code);
    return code;
}
