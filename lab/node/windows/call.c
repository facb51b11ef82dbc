/* A script of SecureTransport on Windows, or a program that wine lacks: it calls the machine and prints
   the answer.

   Its file's name says which one it is. An answer is the exit code in one line, then what to print; a
   call that is not answered was killed, alone or with its session. "wmic process call create" it carries out itself: the new
   process belongs to no session's job, as on a real Windows, where another process starts it. */

#include <winsock2.h>
#include <windows.h>
#include <tlhelp32.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KILLED 137
#define SEPARATOR "\x1f"

/* The lab writes the machine's address and port over it. */
static volatile char machine[] = "ADDRESS-OF-THE-MACHINE----------";

static SOCKET connected(void) {
    struct sockaddr_in address;
    int length = sizeof address;
    WSADATA data;
    SOCKET call;

    if (WSAStartup(MAKEWORD(2, 2), &data) ||
        WSAStringToAddressA((char *)machine, AF_INET, NULL, (struct sockaddr *)&address, &length))
        return INVALID_SOCKET;
    call = socket(AF_INET, SOCK_STREAM, 0);
    if (call == INVALID_SOCKET || connect(call, (struct sockaddr *)&address, length))
        return INVALID_SOCKET;
    return call;
}

static void say(SOCKET call, const char *text) { send(call, text, strlen(text), 0); }

static DWORD above(DWORD id, const char *name) {
    PROCESSENTRY32 each = {.dwSize = sizeof each};
    HANDLE all = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
    DWORD parent = 0;
    BOOL found;

    for (found = Process32First(all, &each); found; found = Process32Next(all, &each))
        if (each.th32ProcessID == id)
            parent = each.th32ParentProcessID;
    for (found = Process32First(all, &each); found; found = Process32Next(all, &each))
        if (each.th32ProcessID == parent && !stricmp(each.szExeFile, name))
            break;
    CloseHandle(all);
    return found ? parent : 0;
}

/* End each cmd.exe above this process, the topmost first: none of them tells how another ended. */
static void end_session(void) {
    DWORD ids[16], id = GetCurrentProcessId();
    HANDLE process;
    int count = 0;

    while (count < 16 && (id = above(id, "cmd.exe")))
        ids[count++] = id;
    while (count--) {
        process = OpenProcess(PROCESS_TERMINATE, FALSE, ids[count]);
        TerminateProcess(process, KILLED);
        CloseHandle(process);
    }
}

static int create(char *line) {
    STARTUPINFOA startup = {.cb = sizeof startup};
    PROCESS_INFORMATION made;
    DWORD flags = DETACHED_PROCESS | CREATE_BREAKAWAY_FROM_JOB;
    int failed = !CreateProcessA(NULL, line, NULL, NULL, FALSE, flags, NULL, NULL, &startup, &made);

    printf("Executing (Win32_Process)->Create()\nMethod execution successful.\nOut Parameters:\n"
           "instance of __PARAMETERS\n{\n");
    if (failed)
        printf("\tReturnValue = 9;\n};\n");
    else
        printf("\tProcessId = %lu;\n\tReturnValue = 0;\n};\n", made.dwProcessId);
    return 0;
}

int main(int count, char **words) {
    static char answer[1 << 20];
    char file[MAX_PATH], name[MAX_PATH], *text;
    int each, had = 0, got, code;
    SOCKET call;

    GetModuleFileNameA(NULL, file, sizeof file);
    _splitpath(file, NULL, NULL, name, NULL);
    if (count > 4 && !stricmp(name, "wmic") && !stricmp(words[1], "process") &&
        !stricmp(words[2], "call") && !stricmp(words[3], "create"))
        return create(words[4]);
    call = connected();
    if (call == INVALID_SOCKET) {
        fprintf(stderr, "ERROR: the machine does not answer\n");
        return 1;
    }
    say(call, name);
    for (each = 1; each < count; each++) {
        say(call, SEPARATOR);
        say(call, words[each]);
    }
    say(call, "\n");
    while ((got = recv(call, answer + had, sizeof answer - 1 - had, 0)) > 0)
        had += got;
    answer[had] = 0;
    if (!strcmp(answer, "session"))
        end_session();
    if (!(text = strchr(answer, '\n')))
        return KILLED;
    code = atoi(answer);
    fprintf(code ? stderr : stdout, "%s\n", text + 1);
    return code;
}
